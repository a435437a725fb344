"""The inputs of one task on their way from the consumer group: its partition of the raw topic and, where
events are repartitioned, of the repartition topic.

Buffers the task's share of the process's memory for input; knows the group that fills it. Invariants: nothing
is returned before the first seek; each offset at most once after a seek, each input in order; an input's
``position`` is the only truth about where to go on. It follows the client's own position past what holds no
record for a reader (transaction markers, aborted and compacted records), and never past a record that has not
been delivered.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol

from aiokafka import TopicPartition
from msgspec import Struct

from worker.adapters.kafka.offsets import Offsets
from worker.core.repartition import oldest_piece, origin_timestamp_ms
from worker.errors import Fatal, TransactionLost
from worker.model.events import InputRecord
from worker.model.state import GroupOffset
from worker.ports import Lag

StartFrom = Literal["earliest", "latest"]

_OTHER_INPUT_S = 0.2
"""How long records wait for older ones that another input is known to have."""


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
    """What a source needs of whoever fetches for it: the consumer group."""

    def room_made(self) -> None:
        """A source can take more."""
        ...

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        """Fetch from this offset on, if the partition is assigned at the moment."""
        ...

    def progress(self, topic_partition: TopicPartition) -> FetchProgress:
        """How far the partition has been fetched."""
        ...

    async def still_assigned(self, partition: int) -> bool:
        """Wait two heartbeats and out any rebalance; whether the partition is still ours."""
        ...


class KafkaInput:
    """One topic's partition, as the group fills it and the source empties it."""

    def __init__(
        self, source: "KafkaSource", topic_partition: TopicPartition, *, repartitioned: bool
    ) -> None:
        """``repartitioned``: its records were received elsewhere before, at a time that they tell."""
        self._source = source
        self.topic_partition = topic_partition
        self._received_ms: Callable[[Any], int] = origin_timestamp_ms if repartitioned else _timestamp_ms
        # The next offset to come from the client; None before the first seek.
        self.position: int | None = None
        self._waiting: deque[tuple[Sequence[InputRecord], int]] = deque()  # records and their bytes
        self.waiting_bytes = 0
        self._given_up = False
        self._times_ms: list[int] | None = None  # of the oldest fetch, once asked for
        self.waiting_records = 0

    # --- for the group ---

    def has_room(self, most_bytes: int) -> bool:
        """Whether to fetch for it: it has been positioned, and less than ``most_bytes`` or nothing waits."""
        fits = not self._waiting or self.waiting_bytes < most_bytes
        return self.position is not None and fits and not self._given_up and not self._source.has_failed

    def deliver(self, records: Sequence[InputRecord], size_bytes: int) -> None:
        """Take in what a fetch brought, and how many bytes of value that is."""
        self._waiting.append((records, size_bytes))
        self.waiting_records += len(records)
        self.waiting_bytes += size_bytes
        self.position = records[-1].offset + 1
        self._source.wake()

    def passed(self, position: int | None) -> None:
        """The client stands here, if it is known where; what lies between the last record delivered and this
        holds none.
        """
        if self.position is not None and position is not None:
            self.position = max(self.position, position)

    def fail(self, failure: Fatal | TransactionLost) -> None:
        """Nothing more comes from it: tell the task."""
        self._source.fail(failure)

    def is_stalled(self, seconds: float) -> bool:
        """Whether its task has not asked for so long, and something may be held for it."""
        return self.position is not None and not self._given_up and self._source.silent_s() > seconds

    def give_up(self) -> None:
        """Hold nothing until the task asks again: what waited will be fetched once more."""
        if self._waiting:
            self.seek(self._waiting[0][0][0].offset)
        self._given_up = True

    # --- for the source ---

    def seek(self, offset: int) -> None:
        """Go on at this offset; what waited is forgotten."""
        self._waiting.clear()
        self._times_ms = None
        self.waiting_records = self.waiting_bytes = 0
        self.position = offset

    def asked(self) -> None:
        """The task is there."""
        self._given_up = False

    def next_offset(self) -> int:
        """Where to go on after what was taken, past everything that holds no record."""
        if self._waiting:
            return self._waiting[0][0][0].offset
        return self.position or 0

    def times_ms(self) -> list[int]:
        """When the records of the oldest fetch that waits were received."""
        if self._times_ms is None:
            self._times_ms = [self._received_ms(record) for record in self._waiting[0][0]]
        return self._times_ms

    def take_fetch(self) -> Sequence[InputRecord]:
        """The records of the oldest fetch that waits."""
        return self.take(len(self._waiting[0][0]))

    def take(self, count: int) -> Sequence[InputRecord]:
        """The first ``count`` records of the oldest fetch, which has as many."""
        records, size_bytes = self._waiting.popleft()
        # Kept for what is left: a fetch that is taken in many pieces is looked through once.
        self._times_ms = self._times_ms[count:] if self._times_ms and count < len(records) else None
        if count < len(records):
            left = records[count:]
            left_bytes = size_bytes * len(left) // len(records)
            self._waiting.appendleft((left, left_bytes))
            records, size_bytes = records[:count], size_bytes - left_bytes
        self.waiting_records -= len(records)
        self.waiting_bytes -= size_bytes
        return records


class KafkaSource:
    """Implements ``ports.Source`` for one task. ``ConsumerGroup`` fetches its records."""

    def __init__(
        self,
        fetcher: Fetcher,
        offsets: Offsets,
        partition: int,
        topics: InputTopics,
    ) -> None:
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
        self._silent_since_s: float | None = None  # None while the task asks

    async def next_records(self, timeout_s: float) -> Sequence[InputRecord]:
        """The next records of one input, at most one fetch's worth."""
        self._silent_since_s = None
        for read in self.inputs:
            read.asked()
        try:
            return await self._next_records(timeout_s)
        finally:
            self._silent_since_s = asyncio.get_running_loop().time()

    async def _next_records(self, timeout_s: float) -> Sequence[InputRecord]:
        something_waits = any(taken.waiting_records for taken in self.inputs)
        if not self._failure and not (something_waits and self._knows_the_oldest()):
            self._arrived.clear()
            self._fetcher.room_made()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(timeout_s, _OTHER_INPUT_S) if something_waits else timeout_s):
                    await self._arrived.wait()
        if self._failure is not None:
            raise self._failure
        records = self._take()
        if records:
            self._fetcher.room_made()
        return records

    def silent_s(self) -> float:
        """For how long the task has not asked for records; 0 while it does."""
        since_s = self._silent_since_s
        return 0.0 if since_s is None else asyncio.get_running_loop().time() - since_s

    def wake(self) -> None:
        """Let a waiting ``next_records`` return."""
        self._arrived.set()

    def seek(self, next_offsets: Mapping[str, int]) -> None:
        """Go on at these offsets; what waited is forgotten, and that an earlier place was not there."""
        if isinstance(self._failure, TransactionLost):
            self._failure = None
        for wanted in self.inputs:
            offset = next_offsets[wanted.topic_partition.topic]
            wanted.seek(offset)
            self._fetcher.seek(wanted.topic_partition, offset)

    def next_offsets(self) -> dict[str, int]:
        """Where each input goes on after what was returned."""
        for read in self.inputs:
            read.passed(self._fetcher.progress(read.topic_partition).position)
        return {read.topic_partition.topic: read.next_offset() for read in self.inputs}

    def lag(self) -> Lag:
        """What is not yet returned; its records are known where fetches of every input have reported lately
        how many there are.
        """
        records = in_open_transactions = 0
        unknown_because, caught_up = "", True
        for read in self.inputs:
            fetched = self._fetcher.progress(read.topic_partition)
            records += read.waiting_records + fetched.unfetched
            in_open_transactions += fetched.in_open_transactions
            if read.position is None:
                reason = "not positioned yet"
            else:  # with records waiting it is asked for no more
                reason = "" if read.waiting_records else fetched.unknown_because
            unknown_because = unknown_because or reason
            caught_up = caught_up and not reason and not read.waiting_records and fetched.at_end
        if unknown_because:
            return Lag(None, in_open_transactions, unknown_because=unknown_because)
        return Lag(records, in_open_transactions, caught_up)

    async def first_offsets(self) -> dict[str, int]:
        """Where a first life begins."""
        raw, *others = [wanted.topic_partition for wanted in self.inputs]
        of_raw = self._offsets.first if self._start_from == "earliest" else self._offsets.end
        first = {raw.topic: await of_raw(raw)}
        for other in others:
            first[other.topic] = await self._offsets.first(other)
        return first

    async def committed_offsets(self) -> dict[str, GroupOffset]:
        """The group's committed offsets, of the inputs that have one."""
        committed = await self._offsets.committed([known.topic_partition for known in self.inputs])
        return {topic_partition.topic: known for topic_partition, known in committed.items()}

    async def log_bounds(self) -> dict[str, tuple[int, int]]:
        """Of every input (first offset, end of all that was written, whatever became of it)."""
        return {
            known.topic_partition.topic: (
                await self._offsets.first(known.topic_partition),
                await self._offsets.log_end(known.topic_partition),
            )
            for known in self.inputs
        }

    async def still_assigned(self) -> bool:
        """Wait two heartbeats and out any rebalance; whether the partition is still ours."""
        return await self._fetcher.still_assigned(self._partition)

    @property
    def has_failed(self) -> bool:
        """Whether nothing more comes from an input."""
        return self._failure is not None

    def fail(self, failure: Fatal | TransactionLost) -> None:
        """Nothing more comes from an input: tell the task."""
        self._failure = failure
        self._arrived.set()

    def _knows_the_oldest(self) -> bool:
        """Whether no input is known to have records that have not come yet, while none of it waits."""
        return all(
            read.waiting_records or not self._fetcher.progress(read.topic_partition).unfetched
            for read in self.inputs
        )

    def _take(self) -> Sequence[InputRecord]:
        waiting = [taken for taken in self.inputs if taken.waiting_records]
        if len(waiting) <= 1:  # as nearly always
            return waiting[0].take_fetch() if waiting else ()
        place, count = oldest_piece([taken.times_ms() for taken in waiting])
        return waiting[place].take(count)


def _timestamp_ms(record: InputRecord) -> int:
    return record.timestamp
