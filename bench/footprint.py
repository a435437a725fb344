"""What an event and a device weigh: bytes in every topic and on the worker's disk, and what a restore costs.

Decides what is weighed and when: a worker takes the whole load, stops, and starts again, with its disk and
without. Sizes are of records (key and value, before packing) and of the broker's log files (as packed, with
all framing and control records), so the broker is one of this program's own, whose directory it may look
into.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from rich import box
from rich.console import Console
from rich.table import Table
from rocksdict import DBCompressionType, Options, Rdict

from bench.broker import JAVA_OPTIONS, SETTINGS
from bench.load import fill
from bench.report import write
from bench.run import environment_of
from bench.stage import Worker
from bench.topics import Topics
from testing.events import Shape
from testing.kafka.broker import LocalBroker
from testing.kafka.discovery import jars
from testing.scratch import scratch_directory
from testing.wait import wait_until
from worker.core.state_codec import META_KEY, device_of_hot_key

PARTITIONS = 4
PATIENCE_S = 900.0


class Weight(msgspec.Struct):
    """Records, and the bytes of their keys and values."""

    records: int = 0
    plain_bytes: int = 0

    def add(self, size_bytes: int) -> None:
        self.records += 1
        self.plain_bytes += size_bytes


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """One load's. ``files``: bytes of each topic's log files. ``restore_cpu_s``: of the whole worker, from
    its start to its last partition restored; ``startup_cpu_s``: the same with its disk.
    """

    events: int
    events_per_record: int
    devices: int
    records: dict[str, Weight]
    files: dict[str, int]
    store_bytes: int
    compacted_store_bytes: int
    restored_records: int
    restore_s: float
    restore_cpu_s: float
    startup_cpu_s: float


def weigh(shape: Shape, raw_compression: str, broker: LocalBroker, data: Path, directory: Path) -> Footprint:
    """Run the worker over a load of that shape, and weigh what it leaves."""
    servers = broker.bootstrap_servers
    topics = Topics(servers)
    group, names = topics.fresh_outputs("weight", PARTITIONS)
    raw = f"{group}.raw"
    fill(shape, servers, raw, partitions=PARTITIONS, compression=raw_compression)
    worker = Worker(group, directory, environment_of(servers, group, raw, names, directory, {}))
    worker.start(static=True)
    ends = (names["ENRICHED"], names["DEAD_LETTERS"])
    wait_until(
        lambda: sum(topics.end_offset(name, PARTITIONS) for name in ends) >= shape.events,
        what="as many outputs as events",
        timeout_s=PATIENCE_S,
        every_s=0.1,
    )
    wait_until(
        lambda: sum(map(topics.count_records, ends)) == shape.events,
        what="exactly as many",
        timeout_s=PATIENCE_S,
        every_s=0.1,
    )
    worker.stop()

    weights: dict[str, Weight] = {}
    devices = set()
    for output, name in {"RAW": raw, **names}.items():
        for key, value in committed(servers, name):
            part = output.lower()
            if output == "CHANGELOG" and key is not None:
                device = device_of_hot_key(key)
                part = "changelog meta" if key == META_KEY else "changelog cold"
                if device is not None:
                    part = "changelog hot"
                    devices.add(device)
            weights.setdefault(part, Weight()).add(len(key or b"") + len(value or b""))
    files = {
        output.lower(): sum(file.stat().st_size for file in data.glob(f"{name}-[0-9]*/*.log"))
        for output, name in {"RAW": raw, **names}.items()
    }
    store_bytes = bytes_below(worker.directory)
    compact(worker.directory)
    compacted_store_bytes = bytes_below(worker.directory)
    startup_cpu_s, _ = start_again(worker)
    shutil.rmtree(worker.directory)
    restore_cpu_s, restored = start_again(worker)
    topics.delete([raw, *names.values()])
    return Footprint(
        events=shape.events,
        events_per_record=shape.events_per_record,
        devices=len(devices),
        records=weights,
        files=files,
        store_bytes=store_bytes,
        compacted_store_bytes=compacted_store_bytes,
        restored_records=sum(line["records"] for line in restored),
        restore_s=max(line["duration_s"] for line in restored),
        restore_cpu_s=restore_cpu_s,
        startup_cpu_s=startup_cpu_s,
    )


def start_again(worker: Worker) -> tuple[float, list[dict[str, Any]]]:
    """Start it and stop it when all is restored: its CPU seconds until then, and what its log says of it."""
    before = len(worker.lines())
    worker.start(static=True)

    def restored() -> list[dict[str, Any]]:
        return [line for line in worker.lines()[before:] if line["event"] == "partition.restored"]

    wait_until(
        lambda: len(restored()) >= PARTITIONS,
        what="all partitions are restored",
        timeout_s=PATIENCE_S,
        every_s=0.1,
    )
    cpu_s = worker.cpu_s()
    worker.stop()
    return cpu_s, restored()


def committed(servers: str, topic: str) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Keys and values of all committed records."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"{topic}-weight",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    unread = set(range(PARTITIONS))
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in unread])
    try:
        while unread:
            for message in consumer.consume(10_000, 0.5):
                error = message.error()
                if error is None:
                    yield message.key(), message.value()
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(message.partition())
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()


def compact(directory: Path) -> None:
    """Merge all files of every store into one level, as RocksDB does over time."""
    for current in list(directory.rglob("CURRENT")):
        options = Options(raw_mode=True)
        options.set_compression_type(DBCompressionType.lz4())
        store = Rdict(str(current.parent), options)
        store.compact_range(None, None)
        store.close()


def bytes_below(directory: Path) -> int:
    """Of the stores' data files."""
    return sum(file.stat().st_size for file in directory.rglob("*.sst"))


def table(found: Footprint) -> Table:
    """Bytes an event by topic, then of a device."""
    title = f"{found.events:,} events, {found.events_per_record} a record, {found.devices:,} devices"
    result = Table("what", box=box.MARKDOWN, title=title)
    for column in ("records an event", "bytes a record", "bytes an event", "packed bytes an event"):
        result.add_column(column, justify="right")
    for part, weight in found.records.items():
        packed = found.files.get(part)
        result.add_row(
            part,
            f"{weight.records / found.events:.3f}",
            f"{weight.plain_bytes / weight.records:.0f}",
            f"{weight.plain_bytes / found.events:.1f}",
            "" if packed is None else f"{packed / found.events:.1f}",
        )
    result.add_row("changelog", "", "", "", f"{found.files['changelog'] / found.events:.1f}")
    devices = found.devices
    restore_cpu_s = found.restore_cpu_s - found.startup_cpu_s
    lines = {
        "store bytes a device": found.store_bytes / devices,
        "the same, compacted": found.compacted_store_bytes / devices,
        "changelog records restored": found.restored_records,
        "restore, seconds": found.restore_s,
        "restore, CPU us a record": 1e6 * restore_cpu_s / found.restored_records,
        "start with disk, CPU seconds": found.startup_cpu_s,
    }
    for what, figure in lines.items():
        result.add_row(what, "", "", "", f"{figure:,.2f}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.footprint",
        description="Weigh an event and a device, beside a throw-away broker.",
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--devices", type=int, default=Shape().devices)
    parser.add_argument("--raw-compression", choices=["none", "zstd"], default="none")
    options = parser.parse_args()
    found = []
    with scratch_directory("footprint") as directory:
        broker = LocalBroker(jars(), directory / "broker", settings=SETTINGS, java_options=JAVA_OPTIONS)
        with broker:
            for events_per_record in (20, 1):
                shape = Shape(
                    events=options.events, events_per_record=events_per_record, devices=options.devices
                )
                found.append(
                    weigh(shape, options.raw_compression, broker, directory / "broker" / "data", directory)
                )
                Console(width=140).print(table(found[-1]))
    sys.stderr.write(f"{write(found, 'footprint')}\n")


if __name__ == "__main__":
    main()
