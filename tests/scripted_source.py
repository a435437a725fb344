"""A source of both topics without a broker: a test says what fetches bring, and what is still to come."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from aiokafka import TopicPartition

from worker.adapters.kafka.offsets import Offsets
from worker.adapters.kafka.records import FetchedRecord
from worker.adapters.kafka.source import Fetcher, FetchProgress, InputTopics, KafkaSource
from worker.model.records import ListedRecords
from worker.model.repartition import Headers

RAW, REPARTITION = "events.raw", "g.repartition"
LONG_S = 60.0
"""No test waits for it to pass."""


def fetched(topic: str, offset: int, time_ms: int, headers: Headers = ()) -> FetchedRecord:
    """A record of partition 3."""
    return FetchedRecord(topic, 3, offset, time_ms, None, None, headers)


class ScriptedFetcher(Fetcher):
    """Answers as a test says, and fetches nothing by itself."""

    def __init__(self) -> None:
        self.to_fetch = {RAW: 0, REPARTITION: 0}
        self.silent: set[str] = set()
        self.in_transactions = {RAW: 0, REPARTITION: 0}
        self.sought: list[tuple[str, int]] = []
        self.times_asked = 0

    def room_made(self) -> None:
        self.times_asked += 1

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        self.sought.append((topic_partition.topic, offset))

    def progress(self, topic_partition: TopicPartition) -> FetchProgress:
        topic = topic_partition.topic
        return FetchProgress(
            unfetched=self.to_fetch[topic],
            in_open_transactions=self.in_transactions[topic],
            at_end=topic not in self.silent and not self.to_fetch[topic],
            unknown_because="no fetch has been answered" if topic in self.silent else "",
        )

    async def still_assigned(self, partition: int) -> bool:
        return True


class ScriptedSource:
    """A source of both topics and what fetches bring to it."""

    def __init__(self) -> None:
        self.fetcher = ScriptedFetcher()
        self.source = KafkaSource(
            self.fetcher, cast("Offsets", None), 3, InputTopics([RAW, REPARTITION], "earliest")
        )
        self.raw, self.repartition = self.source.inputs
        self.source.seek({RAW: 0, REPARTITION: 0})

    def bring_raw(self, *times_ms: int, bytes_each: int = 10) -> None:
        """A fetch of the raw topic: a record for each time."""
        first = self.raw.position or 0
        records = [fetched(RAW, first + n, time_ms) for n, time_ms in enumerate(times_ms)]
        self.raw.deliver(ListedRecords(records), bytes_each * len(records))

    def bring_repartitioned(self, *times_ms: int) -> None:
        """A fetch of the repartition topic: a record for each time at which it was first received, long
        before.
        """
        first = self.repartition.position or 0
        records = [
            fetched(REPARTITION, first + n, 9_000_000 + n, [("origin-timestamp", b"%d" % time_ms)])
            for n, time_ms in enumerate(times_ms)
        ]
        self.repartition.deliver(ListedRecords(records), 10 * len(records))

    async def next(self) -> list[tuple[str, int]]:
        """(topic, offset) of what the source gives at once or waits for a moment."""
        async with asyncio.timeout(5):
            return [(r.topic, r.offset) for r in await self.source.next_records(LONG_S)]


Scenario = Callable[[ScriptedSource], Coroutine[Any, Any, None]]


def run(scenario: Scenario) -> None:
    """The scenario in a loop of its own."""

    async def scene() -> None:
        await scenario(ScriptedSource())

    asyncio.run(scene())
