"""How a consumer fetches records, what it keeps of the answers, and how it parses them.

Decides nothing: a subclass of ``PiecewiseRecords`` says how much is parsed at once. Knows no codec and no
budget. Invariant: positions, errors and aborted transactions are handled as in the client's own classes.
"""

import asyncio
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

__all__ = [
    "ClientFetcher",
    "DefaultRecordBatch",  # the client's parsers of batches: no public name reads one;
    "MemoryRecords",  # held by tests/spec/test_fetched_batches.py
    "PiecewiseFetchResult",
    "PiecewiseRecords",
    "use_piecewise_records",
]


class ClientFetcher:
    """The part of a consumer that fetches records and keeps them until somebody takes them.

    The public ``getmany`` can wait, but for records only; how much is asked for, and for how long, is set
    once for all. Held by test_source_memory.py and test_reading_on_a_bad_network.py.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._fetcher = consumer._fetcher

    def answered_partitions(self) -> list[TopicPartition]:
        """The partitions of which something is kept, records or an error; the oldest first."""
        return list(self._fetcher._records)

    def keeps_records_of(self, topic_partition: TopicPartition) -> bool:
        """Whether records of the partition are kept."""
        return isinstance(self._fetcher._records.get(topic_partition), PiecewiseFetchResult)

    def compressed_bytes(self) -> int:
        """The size of all that is kept, as it came."""
        kept = self._fetcher._records.values()
        return sum([result.compressed_bytes for result in kept if isinstance(result, PiecewiseFetchResult)])

    def set_limits(self, *, fetch_bytes: int | None = None, wait_ms: int | None = None) -> None:
        """Of the next fetches: the most that one may bring, and how long a broker may wait for records."""
        if fetch_bytes is not None:
            self._fetcher._fetch_max_bytes = fetch_bytes
        if wait_ms is not None:
            self._fetcher._fetch_max_wait_ms = wait_ms

    def next_answer(self) -> "asyncio.Future[None]":
        """Is done when a fetch is answered, and fails where the coordination of the group does."""
        answer: asyncio.Future[None] = self._fetcher._create_fetch_waiter()
        return answer


class PiecewiseRecords(PartitionRecords):  # type: ignore[misc]  # the client is untyped
    """What one fetch brought of one partition: the client's, for a subclass that hands it out in pieces.

    The client offers no way to parse records otherwise, or to hold fewer of them decompressed. Held by
    test_source.py, test_source_memory.py and test_changelog.py.
    """

    next_fetch_offset: int
    """Where the client goes on: behind all that was handed out."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.topic_partition: TopicPartition = self._tp
        self.batches: Any = self._records
        self.checks_crcs = bool(self._check_crcs)
        self.reads_committed = self._isolation_level == READ_COMMITTED
        self.aborted_transactions: list[tuple[int, int]] = list(self._aborted_transactions)
        # The client hands a consumer's deserializer to nobody but this object, which needs none.
        self.deserializer: object = self._value_deserializer
        self.compressed_bytes = int(self.batches.size_in_bytes())

    @abstractmethod
    def read_pieces(self) -> Iterator[list[Any]]:
        """The records in pieces; an empty one where the poll is to end without one. Called once."""

    @abstractmethod
    def next_records(self, most_records: int) -> tuple[list[Any], bool]:
        """The next records, and whether they are the last."""

    def next_piece(self) -> list[Any] | None:
        """The next one of ``read_pieces``; None at the end."""
        piece: list[Any] | None = next(self._records_iterator, None)
        return piece

    def close(self) -> None:
        """Drop what is partly decompressed: it refers to this object, so only the collector would free it."""
        self._records_iterator.close()

    def is_to_be_skipped(self, batch: Any) -> bool:
        """Whether it is a marker, or of an aborted transaction; the rule is the client's own."""
        if self.reads_committed and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)

    def _unpack_records(self) -> Iterator[list[Any]]:
        return self.read_pieces()


class PiecewiseFetchResult(FetchResult):  # type: ignore[misc]  # the client is untyped
    """The client's wrapper of what one fetch brought of one partition; it asks for pieces, not records.

    The client offers no way to take less than ``max_records``, or to know how much is kept. Held by
    test_source_memory.py and tests/spec/test_unreadable_batches.py.
    """

    def __init__(self, tp: Any, *, partition_records: PiecewiseRecords, **options: Any) -> None:
        super().__init__(tp, partition_records=partition_records, **options)
        self._pieces = partition_records
        self.compressed_bytes = partition_records.compressed_bytes

    def __del__(self) -> None:
        self._pieces.close()

    def getone(self) -> Any:
        """The next record; None where there is none."""
        records = self.getall(1)
        return records[0] if records else None

    def getall(self, max_records: int | None = None) -> list[Any]:
        """The next records. On an error what is left is dropped: the client fetches it again."""
        if not self.has_more() or not self.check_assignment(self._topic_partition):
            return []
        try:
            records, were_last = self._pieces.next_records(max_records or sys.maxsize)
        except BaseException:
            self._partition_records = None
            raise
        self._update_position()
        if were_last:
            self._partition_records = None
        return records


def use_piecewise_records(batches: type, records: Callable[..., PiecewiseRecords]) -> None:
    """Let every consumer of this process read answers with these classes from now on.

    The client names its own classes where it makes them. Held by test_source.py and test_changelog.py.
    """
    fetcher.MemoryRecords = batches
    fetcher.PartitionRecords = records
    fetcher.FetchResult = PiecewiseFetchResult
