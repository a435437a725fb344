"""What the parts cost that no worker of this build can do without, each alone, on this machine in this run.

Decides what the parts are: the consumer, decoding, encoding, appending to batches, compressing them. Their
sum is a floor, not a goal: it has no session, no state and no transaction in it. Measured is the CPU time
of this process, the least of three passes.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.codec import snappy_encode, zstd_encode
from aiokafka.producer.message_accumulator import BatchBuilder
from msgspec.json import Decoder, Encoder
from rich import box
from rich.console import Console
from rich.table import Table

from bench.in_memory import least_cpu_seconds
from bench.load import BOOTSTRAP_VARIABLE
from bench.topics import Topics
from testing.events import Shape, records
from worker.model.events import Event
from worker.model.outputs import EnrichedEvent

EVENTS = 40_000
PASSES = 3
BATCH_BYTES = 512 * 1024
RECORDS_CONSUMED = 100_000  # at most, of each topic


def least_us(events: int, work: Callable[[], object]) -> float:
    """The least CPU time of the passes, in microseconds an event."""
    return 1e6 * least_cpu_seconds(work, PASSES) / events


def parts_without_kafka(events_per_record: int) -> dict[str, float]:
    """Decoding to compressing, for values of this many events."""
    values = [
        record.value
        for record in records(Shape(events=EVENTS, events_per_record=events_per_record, devices=2000))
    ]
    decode, encode = Decoder(list[Event]).decode, Encoder().encode
    outputs = [_enriched(event) for value in values for event in decode(value)]
    encoded = [(output.device_id.encode(), encode(output)) for output in outputs]
    batches = _batches(encoded)
    return {
        "decode": least_us(EVENTS, lambda: _each(decode, values)),
        "encode": least_us(EVENTS, lambda: _each(encode, outputs)),
        "append": least_us(EVENTS, lambda: _batches(encoded)),
        "compress: snappy": least_us(EVENTS, lambda: _each(snappy_encode, batches)),
        "compress: zstd": least_us(EVENTS, lambda: _each(zstd_encode, batches)),
    }


def _each(work: Callable[[Any], object], values: Iterable[object]) -> None:
    """Nothing is kept: what is measured is the work, not the memory of all its results."""
    for value in values:
        work(value)


def _enriched(event: Event) -> EnrichedEvent:
    """An output of the usual size: every common field is there."""
    return EnrichedEvent(
        event.id,
        event.type,
        event.device_id,
        event.timestamp,
        user_id=event.user_id,
        user_source="event" if event.user_id else None,
        session_id="018bcfe5-6800-8f3a-9c41-5b0d6a7e2f10",
        session_source="assigned",
        session_start=event.timestamp,
        session_number=3,
        event_number=12,
        received_at=event.timestamp,
        view_id=event.view_id,
        data=event.data,
    )


def _batches(encoded: list[tuple[bytes, bytes]]) -> list[bytes]:
    """The outputs as batches of the producer, uncompressed."""
    made = []
    builder = BatchBuilder(BATCH_BYTES, 0, is_transactional=True)
    for key, value in encoded:
        if builder.append(timestamp=1_700_000_000_000, key=key, value=value) is None:
            made.append(bytes(builder._build()))
            builder = BatchBuilder(BATCH_BYTES, 0, is_transactional=True)
            builder.append(timestamp=1_700_000_000_000, key=key, value=value)
    made.append(bytes(builder._build()))
    return made


async def consume(bootstrap_servers: str, topic: str, partitions: int) -> float:
    """Reading a raw topic and doing nothing with it, in microseconds of CPU time an event."""
    count = Decoder(list[object]).decode
    passes = []
    for _ in range(PASSES):
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
            seen, last = 0, b""
            began = time.process_time()
            while seen < RECORDS_CONSUMED:
                batches = await consumer.getmany(timeout_ms=1000)
                if not batches:
                    break
                for batch in batches.values():
                    seen += len(batch)
                    last = batch[0].value
            passes.append((time.process_time() - began) / (seen * len(count(last))))
        finally:
            await consumer.stop()
    return 1e6 * min(passes)


def table(topics_by_size: dict[int, str], bootstrap_servers: str) -> Table:
    """One row a part, one column a record size. Without a topic of a size its consumer is not measured."""
    result = Table(box=box.MARKDOWN)
    result.add_column("us CPU an event, alone")
    columns = []
    for size in (20, 1):
        result.add_column(f"{size} a record", justify="right")
        parts = parts_without_kafka(size)
        if topic := topics_by_size.get(size):
            partitions = Topics(bootstrap_servers).partitions(topic)
            parts = {
                "consume (aiokafka)": asyncio.run(consume(bootstrap_servers, topic, partitions)),
                **parts,
            }
        columns.append(parts)
    for part in dict.fromkeys(part for parts in columns for part in parts):
        result.add_row(part, *(f"{parts[part]:.2f}" if part in parts else "" for parts in columns))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description="Measure the parts alone.")
    parser.add_argument("--bootstrap-servers", default=os.environ.get(BOOTSTRAP_VARIABLE, "localhost:9092"))
    parser.add_argument("--topic-20", help="a raw topic of 20 events a record, to measure the consumer")
    parser.add_argument("--topic-1", help="the same, of 1 event a record")
    options = parser.parse_args()
    topics_by_size = {20: options.topic_20, 1: options.topic_1}
    given = {size: topic for size, topic in topics_by_size.items() if topic}
    Console(width=100).print(table(given, options.bootstrap_servers))


if __name__ == "__main__":
    main()
