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
from typing import TYPE_CHECKING, Any, Literal

from aiokafka import TopicPartition

from worker.adapters.kafka.offsets import Offsets
from worker.core.repartition import oldest_piece, origin_timestamp_ms
from worker.errors import Fatal, TransactionLost
from worker.model.events import InputRecord
from worker.model.state import GroupOffset

if TYPE_CHECKING:
    from worker.adapters.kafka.consumer import ConsumerGroup

StartFrom = Literal["earliest", "latest"]

_OTHER_INPUT_S = 0.2
"""How long records wait for older ones that another input is known to have."""


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

    def passed(self, position: int) -> None:
        """The client stands here; what lies between the last record delivered and this holds none."""
        if self.position is not None:
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
    """Implements ``ports.Source`` for one task; a hand of ``ConsumerGroup``."""

    def __init__(
        self,
        group: "ConsumerGroup",
        offsets: Offsets,
        partition: int,
        topics: Sequence[str],
        start_from: StartFrom,
    ) -> None:
        """``topics``: the raw topic, of which a first life reads ``start_from``; then the repartition topic,
        if it is read, which is always read whole.
        """
        self._group = group
        self._offsets = offsets
        self._start_from = start_from
        self._partition = partition
        self.inputs = [
            KafkaInput(self, TopicPartition(topic, partition), repartitioned=place > 0)
            for place, topic in enumerate(topics)
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
            self._group.room_made()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(timeout_s, _OTHER_INPUT_S) if something_waits else timeout_s):
                    await self._arrived.wait()
        if self._failure is not None:
            raise self._failure
        records = self._take()
        if records:
            self._group.room_made()
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
            wanted.seek(next_offsets[wanted.topic_partition.topic])
            self._group.seek(wanted)

    def next_offsets(self) -> dict[str, int]:
        """Where each input goes on after what was returned."""
        for read in self.inputs:
            self._group.update_position(read)
        return {read.topic_partition.topic: read.next_offset() for read in self.inputs}

    def lag(self) -> int | None:
        """Records not yet returned, where fetches of every input have told that lately."""
        if self.unknown_because():
            return None
        return sum([i.waiting_records + self._group.unfetched(i.topic_partition) for i in self.inputs])

    def unknown_because(self) -> str:
        """Why the lag is not known; empty where it is."""
        for read in self.inputs:
            if read.position is None:
                return "not positioned yet"
            if not read.waiting_records and (reason := self._group.unheard_because(read.topic_partition)):
                return reason  # with records waiting it is asked for no more
        return ""

    def in_open_transactions(self) -> int:
        """Offsets between the last stable offset and the end of every input."""
        return sum([self._group.undecided(read.topic_partition) for read in self.inputs])

    def caught_up(self) -> bool:
        """Whether all was returned, as fetches of every input answered just now."""
        return all(
            known.position is not None
            and not known.waiting_records
            and self._group.at_end(known.topic_partition)
            for known in self.inputs
        )

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
        return await self._group.still_assigned(self._partition)

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
        return all(i.waiting_records or not self._group.unfetched(i.topic_partition) for i in self.inputs)

    def _take(self) -> Sequence[InputRecord]:
        waiting = [taken for taken in self.inputs if taken.waiting_records]
        if len(waiting) <= 1:  # as nearly always
            return waiting[0].take_fetch() if waiting else ()
        place, count = oldest_piece([taken.times_ms() for taken in waiting])
        return waiting[place].take(count)


def _timestamp_ms(record: InputRecord) -> int:
    return record.timestamp
