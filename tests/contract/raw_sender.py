"""A raw producer under test: made for one topic of a broker, and the records that it is given.

Makes and waits; asserts nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import structs

from testing.wait import eventually
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


def values(records: Sequence[RawRecord], deliveries: Sequence[Delivery], *wanted: Delivery) -> list[bytes]:
    """The values of the records with such a delivery, in order."""
    return [each.value for each, delivery in zip(records, deliveries, strict=True) if delivery in wanted]
