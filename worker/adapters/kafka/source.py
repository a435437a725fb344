"""The inputs of one task: its partition of the raw topic and, where it is read, of the repartition topic.

Buffers what a ``Fetcher`` delivers until the task asks, and decides which input's records come next. Knows
nothing of the consumer group behind the fetcher. Invariants: nothing is returned before the first seek; each
offset is returned at most once after a seek, each input in order; an input's ``position`` alone says where to
go on. It follows the client's position past offsets that hold no record for a reader (transaction markers,
aborted and compacted records), and never past a record that was not delivered.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal, Protocol

from aiokafka import TopicPartition
from msgspec import Struct

from worker.adapters.kafka.offsets import Offsets
from worker.core.repartition import oldest_piece, origin_timestamps_ms
from worker.errors import Fatal, TransactionLost
from worker.model.records import NO_RECORDS, Records
from worker.model.state import GroupOffset
from worker.ports import Lag

StartFrom = Literal["earliest", "latest"]

_OTHER_INPUT_S = 0.2
"""How long buffered records wait for older ones that another input is known to have."""


class InputTopics(Struct, frozen=True):
    """The raw topic, then the repartition topic if it is read.

    A partition without state begins the raw topic at ``start_from``; the repartition topic is always read
    whole.
    """

    topics: Sequence[str]
    start_from: StartFrom


class FetchProgress(Struct, frozen=True):
    """How far the client has fetched one partition, and what it knows of the partition's end.

    ``position``: the client's next offset; None where the partition is not assigned or not positioned.
    ``unfetched``: offsets from there to the last stable offset. ``in_open_transactions``: offsets from there
    to the end of the log. Both are as of the last fetch, 0 before the first. ``at_end``: nothing is
    unfetched, as a fetch reported in the last seconds. ``unknown_because``: why no fetch has reported the end
    lately; empty where one has.
    """

    position: int | None = None
    unfetched: int = 0
    in_open_transactions: int = 0
    at_end: bool = False
    unknown_because: str = ""


class Fetcher(Protocol):
    """Fetches for a source: what it needs of the consumer group."""

    def room_made(self) -> None:
        """A source has room again: fetch more for it."""
        ...

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        """Fetch from this offset on, if the partition is assigned at the moment."""
        ...

    def progress(self, topic_partition: TopicPartition) -> FetchProgress:
        """How far the partition has been fetched."""
        ...

    async def still_assigned(self, partition: int) -> bool:
        """Wait two heartbeats, and until any rebalance is over; whether the partition is still ours."""
        ...


class KafkaInput:
    """One partition of one topic: records that were fetched and not yet returned."""

    def __init__(
        self, source: "KafkaSource", topic_partition: TopicPartition, *, repartitioned: bool
    ) -> None:
        """``repartitioned``: its records bear the time when another partition received them."""
        self._source = source
        self.topic_partition = topic_partition
        self._repartitioned = repartitioned
        # The next offset to come from the client; None before the first seek.
        self.position: int | None = None
        self._fetches: deque[tuple[Records, int]] = deque()  # records and their bytes
        self.buffered_bytes = 0
        self._paused = False
        self._times_ms: Sequence[int] | None = None  # of the oldest fetch, once asked for
        self.buffered_records = 0

    # --- for the group ---

    def has_room(self, most_bytes: int) -> bool:
        """Whether to fetch for it: it has a position, and buffers nothing, or less than ``most_bytes``."""
        fits = not self._fetches or self.buffered_bytes < most_bytes
        return self.position is not None and fits and not self._paused and not self._source.has_failed

    def deliver(self, records: Records, size_bytes: int) -> None:
        """Buffer the records of a fetch, which hold so many bytes."""
        self._fetches.append((records, size_bytes))
        self.buffered_records += len(records)
        self.buffered_bytes += size_bytes
        self.position = records.last_offset + 1
        self._source.wake()

    def advance_to(self, position: int | None) -> None:
        """Follow the client's position, if it has one: no record lies between the last one and this."""
        if self.position is not None and position is not None:
            self.position = max(self.position, position)

    def fail(self, failure: Fatal | TransactionLost) -> None:
        """Let the task fail: nothing more comes from this input."""
        self._source.fail(failure)

    def is_stalled(self, seconds: float) -> bool:
        """Whether its task has not asked for so long, while something may be buffered for it."""
        return self.position is not None and not self._paused and self._source.idle_s() > seconds

    def drop_buffered(self) -> None:
        """Buffer nothing until the task asks again: what was buffered is fetched once more then."""
        if self._fetches:
            self.seek(self._fetches[0][0].first_offset)
        self._paused = True

    # --- for the source ---

    def seek(self, offset: int) -> None:
        """Go on at this offset; drop what was buffered."""
        self._fetches.clear()
        self._times_ms = None
        self.buffered_records = self.buffered_bytes = 0
        self.position = offset

    def resume(self) -> None:
        """Buffer again: the task asks."""
        self._paused = False

    def next_offset(self) -> int:
        """Where to go on after what was returned, past everything that holds no record."""
        if self._fetches:
            return self._fetches[0][0].first_offset
        return self.position or 0

    def times_ms(self) -> Sequence[int]:
        """When the records of the oldest buffered fetch were first received."""
        if self._times_ms is None:
            records = self._fetches[0][0]
            self._times_ms = origin_timestamps_ms(records) if self._repartitioned else records.times_ms()
        return self._times_ms

    def pop_fetch(self) -> Records:
        """Remove and return the oldest buffered fetch."""
        return self.pop(len(self._fetches[0][0]))

    def pop(self, count: int) -> Records:
        """Remove and return the first ``count`` records of the oldest buffered fetch, which has as many."""
        records, size_bytes = self._fetches.popleft()
        # Kept for what is left, so that a fetch returned in many pieces is looked through once.
        self._times_ms = self._times_ms[count:] if self._times_ms and count < len(records) else None
        if count < len(records):
            left = records.part(count, len(records))
            left_bytes = size_bytes * len(left) // len(records)
            self._fetches.appendleft((left, left_bytes))
            records, size_bytes = records.part(0, count), size_bytes - left_bytes
        self.buffered_records -= len(records)
        self.buffered_bytes -= size_bytes
        return records


class KafkaSource:
    """Implements ``ports.Source`` for one task. ``ConsumerGroup`` fetches its records."""

    def __init__(self, fetcher: Fetcher, offsets: Offsets, partition: int, topics: InputTopics) -> None:
        self._fetcher = fetcher
        self._offsets = offsets
        self._start_from = topics.start_from
        self._partition = partition
        self.inputs = [
            KafkaInput(self, TopicPartition(topic, partition), repartitioned=place > 0)
            for place, topic in enumerate(topics.topics)
        ]
        self._failure: Fatal | TransactionLost | None = None
        self._arrived = asyncio.Event()
        self._idle_since_s: float | None = None  # None while the task asks

    async def next_records(self, timeout_s: float) -> Records:
        """The next records of one input: a fetch, or its first part."""
        self._idle_since_s = None
        for each in self.inputs:
            each.resume()
        try:
            return await self._next_records(timeout_s)
        finally:
            self._idle_since_s = asyncio.get_running_loop().time()

    async def _next_records(self, timeout_s: float) -> Records:
        is_buffered = any(each.buffered_records for each in self.inputs)
        if not self._failure and not (is_buffered and self._has_the_oldest()):
            self._arrived.clear()
            self._fetcher.room_made()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(timeout_s, _OTHER_INPUT_S) if is_buffered else timeout_s):
                    await self._arrived.wait()
        if self._failure is not None:
            raise self._failure
        records = self._next_piece()
        if records:
            self._fetcher.room_made()
        return records

    def idle_s(self) -> float:
        """For how long the task has not asked for records; 0 while it does."""
        since_s = self._idle_since_s
        return 0.0 if since_s is None else asyncio.get_running_loop().time() - since_s

    def wake(self) -> None:
        """Let a waiting ``next_records`` return."""
        self._arrived.set()

    def seek(self, next_offsets: Mapping[str, int]) -> None:
        """Go on at these offsets; drop what was buffered, and a failure at an earlier offset."""
        if isinstance(self._failure, TransactionLost):
            self._failure = None
        for each in self.inputs:
            offset = next_offsets[each.topic_partition.topic]
            each.seek(offset)
            self._fetcher.seek(each.topic_partition, offset)

    def next_offsets(self) -> dict[str, int]:
        """Where each input goes on after what was returned."""
        for each in self.inputs:
            each.advance_to(self._fetcher.progress(each.topic_partition).position)
        return {each.topic_partition.topic: each.next_offset() for each in self.inputs}

    def lag(self) -> Lag:
        """What is not yet returned, of all inputs together.

        The records are known where a fetch of every input has reported lately how many there are.
        """
        records = in_open_transactions = 0
        unknown_because, caught_up = "", True
        for each in self.inputs:
            fetched = self._fetcher.progress(each.topic_partition)
            records += each.buffered_records + fetched.unfetched
            in_open_transactions += fetched.in_open_transactions
            if each.position is None:
                reason = "not positioned yet"
            else:  # while records are buffered, nothing more is asked for
                reason = "" if each.buffered_records else fetched.unknown_because
            unknown_because = unknown_because or reason
            caught_up = caught_up and not reason and not each.buffered_records and fetched.at_end
        if unknown_because:
            return Lag(None, in_open_transactions, unknown_because=unknown_because)
        return Lag(records, in_open_transactions, caught_up)

    async def first_offsets(self) -> dict[str, int]:
        """Where a partition without state begins."""
        raw, *others = [each.topic_partition for each in self.inputs]
        of_raw = self._offsets.first if self._start_from == "earliest" else self._offsets.end
        first = {raw.topic: await of_raw(raw)}
        for other in others:
            first[other.topic] = await self._offsets.first(other)
        return first

    async def committed_offsets(self) -> dict[str, GroupOffset]:
        """The group's committed offsets, of the inputs that have one."""
        committed = await self._offsets.committed([each.topic_partition for each in self.inputs])
        return {topic_partition.topic: offset for topic_partition, offset in committed.items()}

    async def log_bounds(self) -> dict[str, tuple[int, int]]:
        """Of every input (first offset, end of the log, behind open and aborted transactions too)."""
        return {
            each.topic_partition.topic: (
                await self._offsets.first(each.topic_partition),
                await self._offsets.log_end(each.topic_partition),
            )
            for each in self.inputs
        }

    async def still_assigned(self) -> bool:
        """Wait two heartbeats, and until any rebalance is over; whether the partition is still ours."""
        return await self._fetcher.still_assigned(self._partition)

    @property
    def has_failed(self) -> bool:
        """Whether nothing more comes from an input."""
        return self._failure is not None

    def fail(self, failure: Fatal | TransactionLost) -> None:
        """Let ``next_records`` raise this: nothing more comes from an input."""
        self._failure = failure
        self._arrived.set()

    def _has_the_oldest(self) -> bool:
        """Whether every input has something buffered, or nothing left to fetch."""
        return all(
            each.buffered_records or not self._fetcher.progress(each.topic_partition).unfetched
            for each in self.inputs
        )

    def _next_piece(self) -> Records:
        buffered = [each for each in self.inputs if each.buffered_records]
        if len(buffered) <= 1:  # as nearly always
            return buffered[0].pop_fetch() if buffered else NO_RECORDS
        place, count = oldest_piece([each.times_ms() for each in buffered])
        return buffered[place].pop(count)
