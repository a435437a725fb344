"""Cuts fetched records into pieces that are worked on without a break, so that heartbeats are never late.

Invariant: the pieces, put together again, are the records, in order.
"""

from collections.abc import Sequence

from worker.model.events import InputRecord


def slices(records: Sequence[InputRecord], max_bytes: int) -> Sequence[Sequence[InputRecord]]:
    """Pieces of about ``max_bytes`` of value each, of at least one record."""
    lengths = [len(record.value) if record.value is not None else 0 for record in records]
    if sum(lengths) <= max_bytes:
        return [records] if records else []
    pieces: list[Sequence[InputRecord]] = []
    start = size = 0
    for position, length in enumerate(lengths):
        if position > start and size + length > max_bytes:
            pieces.append(records[start:position])
            start, size = position, 0
        size += length
    pieces.append(records[start:])
    return pieces


def from_offset(records: Sequence[InputRecord], next_offset: int) -> Sequence[InputRecord]:
    """Those of one topic that are not known yet: a fetch that was under way over a rebalance begins at the
    committed offset, behind what was already taken.
    """
    if records[0].offset >= next_offset:
        return records
    return [record for record in records if record.offset >= next_offset]
