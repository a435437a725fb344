"""The records that consumers of this process hand out: the client's, without what nobody here reads, and no
more of them at once than there is memory for.

The client makes an object of eleven fields for each record, in three calls, and that is a large part of what
fetching costs: 1.7 us a record of 290 B, 0.7 with this (one core, 2026-11-24; 0.65 is the client's parsing
alone). It also unpacks every batch whole, and holds one for each partition. Invariants: the same records, in
the same order, under the same rules about aborted transactions, control batches and positions: the loop is
the client's own (aiokafka 0.14, ``PartitionRecords``), and the contract of a source and of a changelog holds
it to that on a real broker; a poll ends when its ``ReadBudget`` is used up, and a batch that is larger than a
piece is begun only when the budget admits it; whatever goes wrong with a batch is an ``UnreadableError`` with
its place, when all that is before it has been handed out, and nothing is passed over.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from worker.adapters.kafka.client_internals.fetcher import PiecewiseRecords, use_piecewise_records
from worker.adapters.kafka.fetched_batches import PIECE_BYTES, FetchedBatches, PackedBatch
from worker.adapters.kafka.header_names import records_with_any_header_name
from worker.adapters.kafka.read_budget import ReadBudget
from worker.adapters.kafka.unpacking import DamagedError
from worker.model.events import PlainRecord
from worker.model.repartition import Headers

UNREADABLE_TIMES = 3
"""So often the same batch is fetched before it is given up."""


_NO_TIME = -1
"""As Kafka says it. The oldest format (magic 0, before Kafka 0.10) knows no time: the client gives None."""


class FetchedRecord(PlainRecord, frozen=True, gc=False):
    """Implements ``model.repartition.RecordWithHeaders``."""

    headers: Headers


class UnreadableError(Exception):
    """Nobody can read the batch with ``offset`` in it, by reason of ``cause``; it was not passed over."""

    def __init__(self, topic_partition: TopicPartition, offset: int, cause: str) -> None:
        topic, partition = topic_partition
        super().__init__(f"the batch at offset {offset} of {topic}/{partition} cannot be read: {cause}")
        self.topic_partition = topic_partition
        self.offset = offset


def _cause(error: Exception) -> str:
    """In words, without anything of the content."""
    if isinstance(error, DamagedError | KafkaError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory to unpack it"
    return f"its records have no valid form ({type(error).__name__})"


class LightPartitionRecords(PiecewiseRecords):
    """What one fetch brought of one partition, unpacked piece by piece."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        budget = self.deserializer
        self._budget = budget if isinstance(budget, ReadBudget) else ReadBudget()
        self._left: list[FetchedRecord] = []  # of a piece that was more than was asked for
        self._after_left = 0

    def next_records(self, most_records: int) -> tuple[list[FetchedRecord], bool]:
        """The next records, and whether they are the last; what comes after an error is to be fetched again.

        None, and not the last: the poll is full, or the next batch has to wait for memory.
        """
        taken: list[FetchedRecord] = []
        while len(taken) < most_records and not self._budget.poll_is_full:
            try:
                piece = self._next_or_left()
            except Exception as error:
                if not taken:
                    place, offset = self.topic_partition, self.next_fetch_offset
                    raise UnreadableError(place, offset, _cause(error)) from error
                return taken, True  # the error comes again when the rest has been fetched again
            if piece is None:
                return taken, True
            if not piece:
                break
            room = most_records - len(taken)
            if len(piece) > room:
                self._left, self._after_left = piece[room:], self.next_fetch_offset
                self.next_fetch_offset = self._left[0].offset
                piece = piece[:room]
            taken += piece
        return taken, False

    def close(self) -> None:
        """Let go of what is half unpacked: it refers to this object, so only the collector would find it."""
        super().close()
        self._budget.release(self)

    def _next_or_left(self) -> list[FetchedRecord] | None:
        if self._left:
            piece, self._left = self._left, []
            self.next_fetch_offset = self._after_left
            return piece
        return self.next_piece()

    def read_pieces(self) -> Iterator[list[FetchedRecord]]:
        """The records in pieces; an empty one where the next batch has to wait for memory."""
        batches = self.batches
        while batches.has_next():
            batch = batches.next_batch()
            if self.checks_crcs and not batch.validate_crc():
                raise DamagedError("its checksum (CRC) is not that of its content")
            if self.is_to_be_skipped(batch):
                self.next_fetch_offset = batch.next_offset
                continue
            if isinstance(batch, PackedBatch):
                yield from self._unpacked(batch)
            elif piece := self._plain(batch, batches.batch):
                self.next_fetch_offset = batch.next_offset
                self._budget.brought(len(piece), len(batches.batch))
                yield piece
            self.next_fetch_offset = batch.next_offset  # beyond what compaction took from its end

    def _unpacked(self, batch: PackedBatch) -> Iterator[list[FetchedRecord]]:
        whole = batch.at_once()
        if whole is not None:
            if records := self._plain(whole.records, whole.batch):
                self.next_fetch_offset = batch.next_offset
                self._budget.brought(len(records), whole.size_bytes)
                yield records
            return
        budget = self._budget
        stream = batch.stream()
        while not budget.admit(self, stream.held_bytes + 2 * PIECE_BYTES):
            yield []
        for piece in batch.pieces(stream, budget.most_value_bytes):
            if records := self._plain(piece.records, piece.batch):
                self.next_fetch_offset = batch.next_offset if piece.is_last else records[-1].offset + 1
                budget.brought(len(records), piece.size_bytes)
                if piece.is_last:
                    budget.release(self)
                yield records
        budget.release(self)

    def _plain(self, records: Iterable[Any], batch: bytes | memoryview) -> list[FetchedRecord]:
        """The records that are wanted; ``batch`` is what they are parsed from."""
        try:
            return self._wanted(records)
        except UnicodeDecodeError:  # the name of a header: nothing else is decoded
            return self._wanted(records_with_any_header_name(batch))

    def _wanted(self, records: Iterable[Any]) -> list[FetchedRecord]:
        topic, partition = self.topic_partition
        first = self.next_fetch_offset  # a batch may begin before the offset asked for
        return [
            FetchedRecord(
                # Headers as the client's own record has them.
                topic,
                partition,
                offset,
                _NO_TIME if (timestamp := record.timestamp) is None else timestamp,
                record.key,
                record.value,
                tuple(record.headers),
            )
            for record in records
            if (offset := record.offset) >= first
        ]


def use_light_records() -> None:
    """From now on, for every consumer of this process."""
    use_piecewise_records(FetchedBatches, LightPartitionRecords)
