"""The whole benchmark in one command: the load, the floor, the naive yardstick and the worker, in one table.

Decides which configurations are measured. They take turns: run 1 of all, then run 2 of all, so that a slow
minute of the machine does not fall on one of them alone.
"""

import argparse
import contextlib
import os
import sys

from rich.console import Console

from bench import floor, report, run
from bench.broker import throw_away_broker
from bench.load import BOOTSTRAP_VARIABLE, fill
from bench.topics import Topics
from testing.events import Shape

NAIVE = (sys.executable, "-m", "bench.naive")
WORKER = (sys.executable, "-m", "worker", "run")
CONFIGURATIONS = (("naive", NAIVE, "peers"), ("worker", WORKER, "peers"), ("worker", WORKER, "default"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.suite", description="Measure everything.")
    parser.add_argument(
        "--bootstrap-servers",
        default=os.environ.get(BOOTSTRAP_VARIABLE),
        help=f"default: ${BOOTSTRAP_VARIABLE}, else a throw-away broker from its jars",
    )
    parser.add_argument("--events", type=int, default=Shape().events)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--raw-compression", choices=["none", "zstd"], default="none", help="of the raw topics"
    )
    options = parser.parse_args()
    console = Console(width=160)
    with contextlib.ExitStack() as running:
        servers = options.bootstrap_servers or running.enter_context(throw_away_broker())
        raw_topics = {size: f"bench-raw-{size}" for size in (20, 1)}
        for size, topic in raw_topics.items():
            shape = Shape(events=options.events, events_per_record=size)
            fill(shape, servers, topic, compression=options.raw_compression)
        running.callback(Topics(servers).delete, list(raw_topics.values()))
        console.print(floor.table(raw_topics, servers))
        runs = []
        for number in range(1, options.runs + 1):
            for topic in raw_topics.values():
                for name, command, job in CONFIGURATIONS:
                    bench = run.Bench(
                        bootstrap_servers=servers,
                        topic=topic,
                        events=options.events,
                        command=command,
                        label=f"{name}, {job}, {topic.removeprefix('bench-raw-')} a record",
                        job=job,
                    )
                    runs.append(run.measure(bench))
                    sys.stderr.write(f"{bench.label}, run {number}: {runs[-1].figures.us:.2f} us an event\n")
        console.print(report.table(runs))
        sys.stderr.write(f"{report.save(runs, 'suite')}\n")


if __name__ == "__main__":
    main()
