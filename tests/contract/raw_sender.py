"""A raw producer under test: made for one topic of a broker, and the records that it is given.

Makes and waits; asserts nothing.
"""

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import structs

from testing.wait import eventually
from tests.contract.cluster import visible_records
from worker.adapters.kafka.raw_producer import KafkaRawProducer
from worker.adapters.system_clock import SystemClock
from worker.config import Config, Kafka
from worker.config.options import Collect, Topics
from worker.ports import Delivery, RawRecord

NOW_MS = time.time_ns() // 1_000_000
"""Now: brokers expire what they know of a producer by the times of its records, and then take copies."""

QUICK = Collect(stall_ms=500, ack_timeout_ms=3_000)
"""Times that a test can wait for."""


def configuration(servers: str, topic: str, collect: Collect = QUICK) -> Config:
    """That of a collector that writes to ``topic``."""
    return Config(kafka=Kafka(bootstrap_servers=servers), topics=Topics(raw=topic), collect=collect)


@asynccontextmanager
async def producing(config: Config, *, partitions: int) -> AsyncIterator[KafkaRawProducer]:
    """A started producer that takes records for each of these partitions."""
    async with started(config) as producer:
        await becomes_ready(producer, *range(partitions))
        yield producer


@asynccontextmanager
async def started(config: Config) -> AsyncIterator[KafkaRawProducer]:
    """A started producer, whether brokers are there or not."""
    producer = KafkaRawProducer(config, SystemClock())
    await producer.start()
    try:
        yield producer
    finally:
        async with asyncio.timeout(30):
            await producer.close(0)


async def becomes_ready(producer: KafkaRawProducer, *partitions: int, timeout_s: float = 60) -> None:
    """Wait until it takes records for all of these partitions."""

    async def is_ready() -> bool:
        return not any(producer.is_stalled(partition) for partition in partitions)

    await eventually(is_ready, what=f"{partitions} are not stalled", timeout_s=timeout_s)


async def becomes_stalled(producer: KafkaRawProducer, *partitions: int, timeout_s: float = 60) -> None:
    """Wait until it refuses records for all of these partitions."""

    async def is_stalled() -> bool:
        return all(producer.is_stalled(partition) for partition in partitions)

    await eventually(is_stalled, what=f"{partitions} are stalled", timeout_s=timeout_s)


def record(value: bytes, partition: int = 0, **changes: object) -> RawRecord:
    """A record with a key, a time and a header of its own."""
    plain = RawRecord(partition, b"key of " + value[:20], value, NOW_MS, [("value", value[:20])])
    return structs.replace(plain, **changes)


class Journal:
    """What was answered to each value, and whether the topic agrees."""

    def __init__(self) -> None:
        self.answered: dict[bytes, Delivery] = {}
        self._names = itertools.count()

    async def send(self, producer: KafkaRawProducer, *records: RawRecord) -> Sequence[Delivery]:
        """Send records whose values nobody sent before, and write down the answer."""
        deliveries = await producer.send(records)
        for each, delivery in zip(records, deliveries, strict=True):
            assert each.value not in self.answered
            self.answered[each.value] = delivery
        return deliveries

    @asynccontextmanager
    async def load(
        self, producer: KafkaRawProducer, partitions: int, senders: int = 20, value_bytes: int = 0
    ) -> AsyncIterator[None]:
        """As long as the block lasts, senders of a record for each partition, one request after another.

        ``value_bytes`` are added to each value, at random: brokers count bytes as they are compressed.
        """
        ends, load = asyncio.Event(), next(self._names)

        async def send(sender: int) -> None:
            for number in itertools.count():
                if ends.is_set():
                    break
                name = b"%d %d %d" % (load, sender, number)
                wanted = [
                    record(b"%s %d " % (name, n) + os.urandom(value_bytes), n) for n in range(partitions)
                ]
                await self.send(producer, *wanted)
                await asyncio.sleep(0.005)

        tasks = [asyncio.ensure_future(send(sender)) for sender in range(senders)]
        try:
            yield
        finally:
            ends.set()
            await asyncio.gather(*tasks)

    def count(self, delivery: Delivery) -> int:
        """How many records were answered so."""
        return sum(each == delivery for each in self.answered.values())

    async def become(self, delivery: Delivery, more: int) -> None:
        """Wait until so many more were answered so."""
        wanted = self.count(delivery) + more

        async def are_answered() -> bool:
            return self.count(delivery) >= wanted

        await eventually(are_answered, what=f"{more} more are answered {delivery}", timeout_s=60)

    async def check(self, servers: str, topic: str, partitions: int) -> None:
        """Fail where a stored one is missing or there twice, or one that was not sent is there."""
        found: list[bytes] = []
        for partition in range(partitions):
            found += [each.value for each in await visible_records(servers, topic, partition)]
        counts = Counter(found)
        for value, delivery in self.answered.items():
            allowed = {"stored": {1}, "not_sent": {0}, "rejected": {0}, "unknown": {0, 1}}[delivery]
            assert counts.pop(value, 0) in allowed, (value[:40], delivery)
        assert not counts, "what nobody sent is there"


def values(records: Sequence[RawRecord], deliveries: Sequence[Delivery], *wanted: Delivery) -> list[bytes]:
    """The values of the records with such a delivery, in order."""
    return [each.value for each, delivery in zip(records, deliveries, strict=True) if delivery in wanted]
