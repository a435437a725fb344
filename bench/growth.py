"""Whether an event costs the same when there is more: more devices, more partitions, more that waits.

Decides three comparisons, each shown as ratios to its first line in the same round, since figures of one
machine say little of another:

- devices: 50,000 and a million, all of them known before, with the load's skew and all equally active (then
  hardly any event finds its device in memory: the worst case). The time line is as much faster as there are
  more devices, so that as many events open a session.
- partitions: the same load in 4, 16 and 64 of them, by a worker that is behind.
- backlog: what piled up while the worker was away, against a steady load that it keeps up with.

Each line is one deployment: topics, group and disk stay, and for every round a process is started again
and watched as by ``bench.run``. About ten minutes on two idle cores, so it is no part of ``make bench``:

    python -m bench.growth
    python -m bench.growth --only devices --events-per-record 20
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table

from bench.broker import throw_away_broker
from bench.load import to_topic
from bench.report import RESULTS, Run, progress, save
from bench.run import Bench, environment_of, run_of, watch
from bench.topics import ENDS, KEPT, Topics
from testing.events import Record, Shape, records
from testing.scratch import scratch_directory

PARTITIONS = 4
START_S = 5.0  # a worker is up by then: a steady load begins without a backlog


class Deployment:
    """A group with its topics and its disk, and a traffic that goes on from run to run."""

    def __init__(self, label: str, shape: Shape, servers: str, directory: Path, partitions: int) -> None:
        self._label = label
        self._size = shape.events_per_record
        self._servers, self._partitions = servers, partitions
        self._topics = Topics(servers)
        self._traffic = records(shape)
        group, self._names = self._topics.fresh_outputs("growth", partitions)
        self._raw = f"{group}.raw"
        self._topics.create(self._raw, partitions, KEPT)
        self._environment = environment_of(servers, group, self._raw, self._names, directory / group, {})
        self._events = 0
        if shape.known:
            self._append(islice(self._traffic, shape.devices))
            self._watch(shape.devices, "the devices' first events")

    def behind(self, events: int, label: str = "") -> Run:
        """So many events of the traffic, which wait when the worker starts."""
        self._append(islice(self._traffic, events // self._size))
        return self._watch(events, label)

    def steady(self, events: int, events_per_second: float, label: str) -> Run:
        """So many events of the traffic, appended at a pace while the worker runs."""
        with ThreadPoolExecutor(1) as beside:
            piece = islice(self._traffic, events // self._size)
            load = beside.submit(self._append, at_pace(piece, events_per_second))
            run = self._watch(events, label)
            load.result()
        return run

    def end(self) -> None:
        self._topics.delete([self._raw, *self._names.values()])

    def _append(self, load: Iterable[Record]) -> None:
        to_topic(load, self._servers, self._raw, "none")

    def _watch(self, events: int, label: str) -> Run:
        """Start the worker and watch it until it has written so many outputs."""
        bench = Bench(
            bootstrap_servers=self._servers,
            topic=self._raw,
            events=events,
            command=(sys.executable, "-m", "worker", "run"),
            label=", ".join(filter(None, (self._label, label))),
        )
        log = RESULTS / "growth.log"
        samples = watch(bench, self._topics, self._names, self._partitions, self._environment, log)
        complete = samples[-1].outputs >= events
        self._events += events
        ends = (self._names[output] for output in ENDS)
        lost = self._events - sum(map(self._topics.count_records, ends)) if complete else 0
        run = run_of(bench, samples, complete=complete, lost_or_repeated=lost)
        found = run.figures
        progress(
            f"{run.label}: {found.us_second_half:.2f} us an event, {found.peak_rss_mb:.0f} MB, "
            f"others' CPU {found.others_cpu_s:.1f} of {found.wall_s:.1f} s"
        )
        return run


def at_pace(load: Iterable[Record], events_per_second: float) -> Iterator[Record]:
    """The records when they are due, to a hundredth of a second."""
    time.sleep(START_S)
    began = time.monotonic()
    sent = 0
    for record in load:
        early_s = began + sent / events_per_second - time.monotonic()
        if early_s > 0.01:
            time.sleep(early_s)
        sent += record.events
        yield record


def with_devices(servers: str, directory: Path, size: int, options: argparse.Namespace) -> list[Run]:
    """Rounds of all numbers of devices, skewed and even."""
    plain = Shape()
    deployments = []
    for skew, name in ((plain.skew, "skewed"), (0.0, "equally active")):
        for devices in options.devices:
            shape = Shape(
                events=options.runs * options.events,
                events_per_record=size,
                devices=devices,
                events_per_second=Shape(events_per_record=size).pace() * devices / plain.devices,
                skew=skew,
                known=True,
            )
            deployments.append(
                Deployment(f"{devices:,} devices, {name}", shape, servers, directory, PARTITIONS)
            )
    return in_turns(deployments, options)


def with_partitions(servers: str, directory: Path, size: int, options: argparse.Namespace) -> list[Run]:
    """Rounds of all numbers of partitions, under the same load."""
    shape = Shape(events=options.runs * options.events, events_per_record=size, known=True)
    deployments = [
        Deployment(f"{count} partitions", shape, servers, directory, count) for count in options.partitions
    ]
    return in_turns(deployments, options)


def with_backlog(servers: str, directory: Path, size: int, options: argparse.Namespace) -> list[Run]:
    """Rounds of a steady load, then of what piled up, on one state."""
    steady = options.backlog // 2
    shape = Shape(events=options.runs * (steady + options.backlog), events_per_record=size, known=True)
    deployment = Deployment("", shape, servers, directory, PARTITIONS)
    runs = []
    for _ in range(options.runs):
        runs.append(deployment.steady(steady, options.pace, f"{options.pace:,.0f} events/s, no backlog"))
        runs.append(deployment.behind(options.backlog, f"{options.backlog:,} events wait"))
    deployment.end()
    return runs


COMPARISONS = {"devices": with_devices, "partitions": with_partitions, "backlog": with_backlog}


def in_turns(deployments: list[Deployment], options: argparse.Namespace) -> list[Run]:
    """So many rounds of all, and their end."""
    runs = [deployment.behind(options.events) for _ in range(options.runs) for deployment in deployments]
    for deployment in deployments:
        deployment.end()
    return runs


def table(title: str, runs: list[Run]) -> Table:
    """Minimum and median of each line, and the median of its ratios to the first line of the same round.

    Costs are of the second half of each run, when states, caches and code are warm.
    """
    result = Table("what", box=box.MARKDOWN, title=title)
    for column in ("us CPU an event", "ratio", "broker us", "ratio", "peak MB", "ratio", "events/s"):
        result.add_column(column, justify="right")
    result.add_column("others' CPU, cores", justify="right")
    result.add_column("lost or repeated", justify="right")
    by_label = {label: [run for run in runs if run.label == label] for label in [run.label for run in runs]}
    first = [run.figures for run in next(iter(by_label.values()))]
    for label, rounds in by_label.items():
        all_figures = [run.figures for run in rounds]
        cells = []
        for name, digits in (("us_second_half", 2), ("broker_us", 2), ("peak_rss_mb", 0)):
            values = [getattr(one, name) for one in all_figures]
            ratios = [value / getattr(one, name) for value, one in zip(values, first, strict=True)]
            cells += [f"{min(values):.{digits}f} / {median(values):.{digits}f}", f"{median(ratios):.2f}"]
        result.add_row(
            label,
            *cells,
            f"{median(one.events_per_s_second_half for one in all_figures):,.0f}",
            f"{max(one.others_cpu_s / one.wall_s for one in all_figures):.1f}",
            ", ".join(str(run.lost_or_repeated) if run.complete else "stopped" for run in rounds),
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.growth", description="Measure whether cost grows with what there is."
    )
    parser.add_argument("--only", choices=COMPARISONS, nargs="+", default=list(COMPARISONS))
    parser.add_argument("--events", type=int, default=300_000, help="of each run")
    parser.add_argument("--events-per-record", type=int, nargs="+", default=[1])
    parser.add_argument("--devices", type=int, nargs="+", default=[50_000, 1_000_000])
    parser.add_argument("--partitions", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--backlog", type=int, default=500_000, help="events that wait")
    parser.add_argument("--pace", type=float, default=5_000.0, help="events a second without a backlog")
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    console = Console(width=160)
    found: list[Run] = []
    with (
        scratch_directory("growth") as directory,
        throw_away_broker() as servers,
    ):
        try:
            for size in options.events_per_record:
                for name in options.only:
                    runs = COMPARISONS[name](servers, directory, size, options)
                    found += runs
                    console.print(table(f"{name}, {size} a record", runs))
        finally:  # what was measured before a failure is kept
            progress(str(save(found, "growth")))


if __name__ == "__main__":
    main()
