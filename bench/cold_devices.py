"""What an event costs whose device is not in memory: the same traffic over few devices, and over many.

Decides the two traffics: one event of each of so many devices first, then events of devices drawn evenly,
measured. With few devices all states stay in memory as objects; with many nearly every event reads its
device's state from the store. Zipf-like loads lie between. Records hold events of many devices, all of the
partition, so that the look-up is measured and not the fetching.
"""

import argparse
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from bench.broker import throw_away_broker
from bench.run import environment_of
from bench.stage import Reader, Worker, fill
from bench.topics import APPEND_TIME, Topics
from testing.scratch import scratch_directory
from testing.wait import wait_until

PARTITIONS = 4
PATIENCE_S = 1_200.0


def measure(servers: str, devices: int, events: int, directory: Path) -> tuple[float, float]:
    """CPU microseconds an event: of each device's first, and of the later ones."""
    topics = Topics(servers)
    group, names = topics.fresh_outputs("cold", PARTITIONS)
    raw = f"{group}.raw"
    topics.create(raw, PARTITIONS, APPEND_TIME)
    reader = Reader(servers, names["ENRICHED"], PARTITIONS)
    worker = Worker(group, directory, environment_of(servers, group, raw, names, directory, {}))
    fill(servers, raw, PARTITIONS, range(devices), "first")
    reader.start()
    try:
        first_us = cpu_us(worker, reader, devices)
        # Multiples of a number prime to that of the devices: each comes up once in so many, far apart.
        fill(servers, raw, PARTITIONS, (number * 7_919 % devices for number in range(events)), "later")
        later_us = cpu_us(worker, reader, events)
    finally:
        worker.stop()
        reader.end()
        topics.delete([raw, *names.values()])
    return first_us, later_us


def cpu_us(worker: Worker, reader: Reader, events: int) -> float:
    """Run the worker over so many events: its CPU an event, the first fifth left out as its warm-up.

    Ends the program, with one line, where the events are too few to be measured.
    """
    before = reader.seen
    worker.start(static=True)
    wait_until(
        lambda: reader.seen >= before + events / 5,
        what="a fifth is written",
        timeout_s=PATIENCE_S,
        every_s=0.1,
    )
    began_s, seen = worker.cpu_s(), reader.seen
    wait_until(
        lambda: reader.seen >= before + events, what="all is written", timeout_s=PATIENCE_S, every_s=0.1
    )
    used_s = worker.cpu_s() - began_s
    worker.stop()
    if seen >= before + events:
        raise SystemExit(f"{events} events, all seen at once: give more --events and --devices")
    return 1e6 * used_s / (before + events - seen)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cold_devices", description="Measure what looking a device up costs."
    )
    parser.add_argument("--devices", type=int, nargs="+", default=[10_000, 500_000])
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    found: dict[int, list[tuple[float, float]]] = {devices: [] for devices in options.devices}
    with scratch_directory("cold") as directory, throw_away_broker() as servers:
        for _ in range(options.runs):
            for devices, runs in found.items():
                runs.append(measure(servers, devices, options.events, directory))
                sys.stderr.write(f"{devices:,} devices: {runs[-1]}\n")
    result = Table(box=box.MARKDOWN)
    for column in ("devices", "us CPU of a device's first event", "us CPU of a later one"):
        result.add_column(column, justify="right")
    for devices, runs in found.items():
        first, later = (min(values) for values in zip(*runs, strict=True))
        result.add_row(f"{devices:,}", f"{first:.1f}", f"{later:.1f}")
    Console(width=110).print(result)


if __name__ == "__main__":
    main()
