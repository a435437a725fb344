"""What many partitions cost one worker that has nothing to do: to start them all, and to hold them.

Decides what is measured and when: a first start (every partition initialized), then a quiet time, then a
start with the state on disk. Peak memory is the kernel's own figure: no peak between two samples is missed.
"""

import argparse
import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.broker import throw_away_broker
from bench.report import progress, write
from bench.run import environment_of
from bench.stage import Worker
from bench.topics import APPEND_TIME, Topics
from testing.scratch import scratch_directory
from testing.wait import wait_until

PATIENCE_S = 600.0
SETTLE_S = 15.0


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """One start of all partitions, from the beginning of the process until the last one runs."""

    what: str
    seconds: float
    cpu_s: float
    peak_mb: float
    transactions_lost: int


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One number of partitions. ``idle_cores``: CPU seconds a second while nothing comes in."""

    partitions: int
    starts: list[Start]
    idle_cores: float
    idle_mb: float


def measure(servers: str, partitions: int, idle_s: float, directory: Path) -> Held:
    """Start a worker for so many partitions, leave it in peace, and start it again."""
    topics = Topics(servers)
    group, names = topics.fresh_outputs("many", partitions)
    raw = f"{group}.raw"
    topics.create(raw, partitions, APPEND_TIME)
    worker = Worker(group, directory, environment_of(servers, group, raw, names, directory, {}))
    progress(f"{partitions} partitions: topics are there")
    first = start(worker, "first", "partition.initialized", partitions)
    progress(f"{first}")
    time.sleep(SETTLE_S)
    cpu_s, began = worker.cpu_s(), time.monotonic()
    time.sleep(idle_s)
    idle_cores = (worker.cpu_s() - cpu_s) / (time.monotonic() - began)
    idle_mb = worker.lines()[-1]["rss_mb"]
    progress(f"idle: {idle_cores:.3f} of a core, {idle_mb} MB")
    worker.stop()
    again = start(worker, "with its disk", "partition.restored", partitions)
    progress(f"{again}")
    worker.stop()
    topics.delete([raw, *names.values()])
    return Held(partitions=partitions, starts=[first, again], idle_cores=idle_cores, idle_mb=idle_mb)


def start(worker: Worker, what: str, running: str, partitions: int) -> Start:
    """Start it, and wait for its log to say of every partition that it runs."""
    before = len(worker.lines())
    began = time.monotonic()
    worker.start(static=True)

    def seen() -> set[int]:
        return {line["partition"] for line in worker.lines()[before:] if line["event"] == running}

    wait_until(
        lambda: len(seen()) >= partitions, what="all partitions run", timeout_s=PATIENCE_S, every_s=0.1
    )
    seconds = time.monotonic() - began
    cpu_s, peak_mb = worker.cpu_s(), worker.peak_mb()
    time.sleep(2.0)  # for the status line that counts the last lost transaction
    lost = sum(line.get("transactions_lost", 0) for line in worker.lines()[before:])
    return Start(what=what, seconds=seconds, cpu_s=cpu_s, peak_mb=peak_mb, transactions_lost=lost)


def table(found: list[Held]) -> Table:
    """One line for each number of partitions."""
    result = Table("partitions", title="many partitions, idle")
    for column in ("start", "seconds", "CPU s", "peak MB", "lost", "idle cores", "idle MB"):
        result.add_column(column, justify="right")
    for held in found:
        for one in held.starts:
            result.add_row(
                str(held.partitions),
                one.what,
                f"{one.seconds:.1f}",
                f"{one.cpu_s:.1f}",
                f"{one.peak_mb:.0f}",
                str(one.transactions_lost),
                f"{held.idle_cores:.3f}",
                f"{held.idle_mb:.0f}",
            )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.many_partitions", description="Measure a worker of many idle partitions."
    )
    parser.add_argument("--partitions", type=int, nargs="+", default=[500])
    parser.add_argument("--idle-s", type=float, default=60.0)
    parser.add_argument("--bootstrap-servers", help="a broker that runs; default: a throw-away one")
    options = parser.parse_args()
    found: list[Held] = []
    with scratch_directory("many") as directory:

        def run(servers: str) -> None:
            found.extend(
                measure(servers, partitions, options.idle_s, directory) for partitions in options.partitions
            )

        if options.bootstrap_servers:
            run(options.bootstrap_servers)
        else:
            with throw_away_broker() as servers:
                run(servers)
    Console(width=140).print(table(found))
    sys.stderr.write(f"{write(found, 'many_partitions')}\n")


if __name__ == "__main__":
    main()
