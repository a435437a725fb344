"""Cuts fetched records into pieces that are worked on without a break, so that heartbeats are never late.

Invariant: the pieces, put together again, are the records, in order.
"""

from collections.abc import Sequence

from worker.model.events import InputRecord


def slices(records: Sequence[InputRecord], max_bytes: int) -> list[Sequence[InputRecord]]:
    """Pieces of about ``max_bytes`` of value each, of at least one record, never of two topics."""
    pieces: list[Sequence[InputRecord]] = []
    start = size = 0
    for position, record in enumerate(records):
        length = len(record.value) if record.value is not None else 0
        if position > start and (size + length > max_bytes or record.topic != records[start].topic):
            pieces.append(records[start:position])
            start, size = position, 0
        size += length
    if records:
        pieces.append(records[start:])
    return pieces


def from_offset(records: Sequence[InputRecord], next_offset: int) -> Sequence[InputRecord]:
    """Those of one topic that are not known yet: a fetch that was under way over a rebalance begins at the
    committed offset, behind what was already taken.
    """
    if records[0].offset >= next_offset:
        return records
    return [record for record in records if record.offset >= next_offset]
