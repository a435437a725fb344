"""Fills a raw topic, or a file, with the benchmark's load.

Decides where the records of ``testing.events`` go, nothing of what is in them. The same options give the same
records in the same partitions.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
from confluent_kafka import Producer

from bench.topics import KEPT, Topics
from testing.events import Record, Shape, records

BOOTSTRAP_VARIABLE = "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS"


class Line(msgspec.Struct):
    """One line of the file: what ``sessionizer replay`` reads."""

    received_at: int
    value: msgspec.Raw


def to_topic(load: Iterable[Record], bootstrap_servers: str, topic: str, compression: str) -> tuple[int, int]:
    """Append the records; returns how many events and bytes of values. Raises RuntimeError."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "partitioner": "murmur2",  # as Java's clients, and as the worker expects
            "enable.idempotence": True,  # retries must not change the order of a device's records
            "compression.type": compression,
            "linger.ms": 50,
            "batch.size": 256 * 1024,
            "queue.buffering.max.messages": 200_000,
        }
    )
    failed: list[object] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            failed.append(error)

    events = size = 0
    for number, record in enumerate(load):
        while True:
            try:
                producer.produce(
                    topic, record.value, record.key, timestamp=record.timestamp, on_delivery=delivered
                )
                break
            except BufferError:  # the queue is full: wait for the broker
                producer.poll(0.1)
        if number % 512 == 0:
            producer.poll(0)
        events += record.events
        size += len(record.value)
    producer.flush()
    if failed:
        raise RuntimeError(f"{len(failed)} records were not delivered, the first because of: {failed[0]}")
    return events, size


def to_file(load: Iterable[Record], path: Path) -> tuple[int, int]:
    """Write one line a record; returns how many events and bytes of values."""
    encode = msgspec.json.Encoder().encode
    events = size = 0
    with path.open("wb") as file:
        for record in load:
            file.write(encode(Line(record.timestamp, msgspec.Raw(record.value))) + b"\n")
            events += record.events
            size += len(record.value)
    return events, size


def fill(
    shape: Shape, bootstrap_servers: str, topic: str, *, partitions: int = 4, compression: str = "none"
) -> tuple[int, int]:
    """Create the topic, replacing one of that name, and fill it; returns events and bytes of values."""
    topics = Topics(bootstrap_servers)
    topics.delete([topic])
    topics.create(topic, partitions, KEPT)
    return to_topic(records(shape), bootstrap_servers, topic, compression)


def main() -> None:
    default = Shape()
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="Fill a raw topic with events.")
    parser.add_argument(
        "--bootstrap-servers",
        default=os.environ.get(BOOTSTRAP_VARIABLE, "localhost:9092"),
        help=f"default: ${BOOTSTRAP_VARIABLE}, else localhost:9092",
    )
    parser.add_argument("--topic", help="is created; one of this name is deleted first")
    parser.add_argument("--output", type=Path, help="write a file of lines instead, for `sessionizer replay`")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--compression", choices=["none", "zstd", "snappy", "lz4", "gzip"], default="none")
    parser.add_argument("--events", type=int, default=default.events)
    parser.add_argument("--events-per-record", type=int, default=default.events_per_record)
    parser.add_argument("--devices", type=int, default=default.devices)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--start-ms", type=int, default=default.start_ms, help="where the time line begins")
    parser.add_argument(
        "--events-per-second", type=float, default=0.0, help="pace of the time line (default: by record size)"
    )
    parser.add_argument("--extra", action="store_true", help="add top-level properties that no rule knows")
    parser.add_argument("--skew", type=float, default=default.skew, help="0: all devices equally active")
    parser.add_argument("--known", action="store_true", help="begin with an event of each device")
    options = parser.parse_args()
    if (options.topic is None) == (options.output is None):
        parser.error("give either --topic or --output")
    shape = Shape(**{name: getattr(options, name) for name in Shape.__struct_fields__})
    began = time.monotonic()
    if options.output:
        events, size = to_file(records(shape), options.output)
    else:
        events, size = fill(
            shape,
            options.bootstrap_servers,
            options.topic,
            partitions=options.partitions,
            compression=options.compression,
        )
    print(
        f"{options.topic or options.output}: {events:,} events, {size / max(1, events):.0f} bytes each, "
        f"in {time.monotonic() - began:.1f} s",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
