"""What repartitioning adds to an event: the same load with each record in its device's partition, and
anywhere.

Decides the loads and their turns; each run is ``bench.run``'s. Keys are random for the second, so with P
partitions (P - 1) of P events are sent on through the repartition topic.
"""

import argparse
import sys
from collections.abc import Iterator
from random import Random

import msgspec
from rich.console import Console

from bench.broker import throw_away_broker
from bench.load import to_topic
from bench.report import Run, save, table
from bench.run import Bench, measure
from bench.topics import KEPT, Topics
from testing.events import Record, Shape, records


def anywhere(shape: Shape) -> Iterator[Record]:
    """The load with random keys."""
    random = Random(shape.seed)
    for record in records(shape):
        yield msgspec.structs.replace(record, key=random.randbytes(8))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.repartition_cost", description="Measure what repartitioning adds."
    )
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--events-per-record", type=int, nargs="+", default=[20, 1])
    parser.add_argument("--partitions", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    runs: list[Run] = []
    with throw_away_broker() as servers:
        topics = Topics(servers)
        benches = []
        for size in options.events_per_record:
            shape = Shape(events=options.events, events_per_record=size)
            for partitions in options.partitions:
                for keys, load in (("right keys", records), ("random keys", anywhere)):
                    topic = f"raw-{size}-{partitions}-{keys.replace(' ', '-')}"
                    topics.create(topic, partitions, KEPT)
                    to_topic(load(shape), servers, topic, "none")
                    benches.append(
                        Bench(
                            bootstrap_servers=servers,
                            topic=topic,
                            events=options.events,
                            command=(sys.executable, "-m", "worker", "run"),
                            label=f"{keys}, {partitions} partitions, {size} a record",
                        )
                    )
        for number in range(1, options.runs + 1):
            for bench in benches:
                runs.append(measure(bench))
                sys.stderr.write(f"{bench.label}, run {number}: {runs[-1].figures.us:.2f} us an event\n")
    Console(width=160).print(table(runs))
    sys.stderr.write(f"{save(runs, 'repartition-cost')}\n")


if __name__ == "__main__":
    main()
