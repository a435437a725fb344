"""One partition's records on their way from the consumer group to its task.

Buffers its share of the process's memory for input; knows the group that fills it. Invariants: nothing is
returned before the first seek; each offset at most once after a seek, in order; ``position`` is the only
truth about where to go on, whatever the client believes.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from worker.errors import Fatal
from worker.model.events import InputRecord

if TYPE_CHECKING:
    from worker.adapters.kafka_consumer import ConsumerGroup


class KafkaSource:
    """Implements ``ports.Source`` for one partition; a hand of ``ConsumerGroup``."""

    def __init__(self, group: "ConsumerGroup", topic_partition: TopicPartition) -> None:
        self._group = group
        self.topic_partition = topic_partition
        # The next offset to come from the client; None before the first seek.
        self.position: int | None = None
        self._buffer: deque[tuple[Sequence[InputRecord], int]] = deque()  # records and their bytes
        self._buffered_records = 0
        self._buffered_bytes = 0
        self._failure: Fatal | None = None
        self._arrived = asyncio.Event()

    async def next_records(self, timeout_s: float) -> Sequence[InputRecord]:
        """The next records, at most one fetch's worth."""
        if not self._buffer and self._failure is None:
            self._arrived.clear()
            self._group.room_made()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return ()
        if self._failure is not None:
            raise self._failure
        if not self._buffer:
            return ()
        records, size_bytes = self._buffer.popleft()
        self._buffered_records -= len(records)
        self._buffered_bytes -= size_bytes
        self._group.room_made()
        return records

    def wake(self) -> None:
        """Let a waiting ``next_records`` return."""
        self._arrived.set()

    def seek(self, next_offsets: Mapping[str, int]) -> None:
        """Go on at this offset; what was buffered is forgotten."""
        self._buffer.clear()
        self._buffered_records = self._buffered_bytes = 0
        self.position = next_offsets[self.topic_partition.topic]
        self._group.seek(self)

    def lag(self) -> int:
        """Records not yet returned, as far as the last fetch told."""
        return self._buffered_records + self._group.unfetched(self.topic_partition)

    def caught_up(self) -> bool:
        """Whether all was returned, as a fetch answered just now."""
        return not self._buffer and self._group.at_end(self.topic_partition)

    async def first_offsets(self) -> dict[str, int]:
        """Where a first life begins."""
        return {self.topic_partition.topic: await self._group.first_offset(self.topic_partition)}

    async def committed_offsets(self) -> dict[str, int]:
        """The group's committed offset, if there is one."""
        offset = await self._group.committed_offset(self.topic_partition)
        return {} if offset is None else {self.topic_partition.topic: offset}

    async def still_assigned(self) -> bool:
        """Wait two heartbeats and out any rebalance; whether the partition is still ours."""
        return await self._group.still_assigned(self.topic_partition)

    # --- for the group ---

    def has_room(self, most_bytes: int) -> bool:
        """Whether to fetch for it: it has been positioned, and less than ``most_bytes`` or nothing waits."""
        fits = not self._buffer or self._buffered_bytes < most_bytes
        return self.position is not None and fits and self._failure is None

    def deliver(self, records: Sequence[InputRecord], size_bytes: int) -> None:
        """Take in what a fetch brought, and how many bytes of value that is."""
        self._buffer.append((records, size_bytes))
        self._buffered_records += len(records)
        self._buffered_bytes += size_bytes
        self.position = records[-1].offset + 1
        self._arrived.set()

    def fail(self, failure: Fatal) -> None:
        """The input is gone: tell the task."""
        self._failure = failure
        self._arrived.set()
