"""How long partitions stand still when workers fail, leave and join; each has the state of a million devices.

Decides the scenes: who is killed, stopped or started, with or without its disk, static or dynamic member.
Knows workers as processes and their outputs as a reader of committed records sees them; what the arrivals
mean is ``bench.silences``'s. Two workers share the partitions; a small steady load goes on throughout, so
that a partition's silence is its worker's and not the load's.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.broker import throw_away_broker
from bench.load import BOOTSTRAP_VARIABLE
from bench.report import progress, write
from bench.run import environment_of
from bench.silences import is_flowing, silence
from bench.stage import Load, Reader, Worker, fill
from bench.topics import APPEND_TIME, Topics
from testing.scratch import scratch_directory
from testing.wait import wait_until

FLOWING_S = 3.0
LEAST_S = 8.0
PATIENCE_S = 300.0
WORKERS = ("a", "b")


class Outcome(msgspec.Struct, frozen=True):
    """One scene: of the partitions that changed hands or lost their worker, and of those that stayed."""

    scene: str
    moved: list[float]  # longest silence, seconds, a partition; a kill's begins with the kill
    caught_up: list[float]
    stayed: list[float]  # longest silence, seconds, a partition
    restored_records: int
    restored_device_records: int
    restore_seconds: list[float]


class Stage:
    """The topics, the two workers, the load and the observer of all scenes."""

    def __init__(self, servers: str, directory: Path, partitions: int, devices: int) -> None:
        self.partitions = partitions
        topics = Topics(servers)
        group, names = topics.fresh_outputs("failover", partitions)
        self._servers, self._raw = servers, f"{group}.raw"
        topics.create(self._raw, partitions, APPEND_TIME)
        environment = environment_of(servers, group, self._raw, names, directory, {})
        self.workers = {name: Worker(name, directory, environment) for name in WORKERS}
        self.a, self.b = (self.workers[name] for name in WORKERS)
        self.reader = Reader(servers, names["ENRICHED"], partitions)
        self.reader.start()
        self._devices = devices
        self._load: Load | None = None

    def fill(self) -> None:
        """Append an event of every device, and wait until all were written."""
        load_devices = fill(self._servers, self._raw, self.partitions, range(self._devices), "first")
        for worker in self.workers.values():
            worker.start(static=True)
        began = time.monotonic()
        wait_until(
            lambda: self.reader.seen >= self._devices,
            what="the devices' events are written",
            timeout_s=1_800,
            every_s=0.1,
        )
        self.reader.clear()
        progress(f"filled: {self._devices:,} devices in {time.monotonic() - began:.0f} s")
        self._load = Load(self._servers, self._raw, load_devices, per_second=25)
        self._load.start()
        self.settle()

    def restart(self, *, static: bool) -> None:
        """Stop both, so that stores are flushed, and start them again."""
        for worker in self.workers.values():
            worker.stop()
        for worker in self.workers.values():
            worker.start(static=static)
        self.settle()

    def settle(self) -> None:
        """Return when every partition's outputs flow and each partition has one owner."""
        self._flowing()
        time.sleep(2.5)  # each has written two lines of status since
        self._flowing()

    def scene(self, name: str, *disturbances: Callable[[], None]) -> Outcome:
        """Disturb, wait until all flows again, and report. Measuring begins with the first disturbance."""
        before = {key: worker.owned() for key, worker in self.workers.items()}
        logged = {key: len(worker.lines()) for key, worker in self.workers.items()}
        self.reader.clear()
        time.sleep(1)
        began_s = time.monotonic()
        for disturb in disturbances:
            disturb()
        time.sleep(LEAST_S)
        self.settle()
        after = {key: worker.owned() for key, worker in self.workers.items()}
        all_seen = {number: list(seen) for number, seen in self.reader.arrivals.items()}
        stayed = before["b"] & after["b"]
        found = {number: silence(all_seen[number], began_s) for number in range(self.partitions)}
        restored = [
            line
            for key, worker in self.workers.items()
            for line in worker.lines()[logged[key] :]
            if line["event"] == "partition.restored"
        ]
        outcome = Outcome(
            scene=name,
            moved=[found[number].longest_s for number in found if number not in stayed],
            caught_up=[found[number].caught_up_after_s for number in found if number not in stayed],
            stayed=[found[number].longest_s for number in found if number in stayed],
            restored_records=sum(line["records"] for line in restored),
            restored_device_records=sum(line["device_records"] for line in restored),
            restore_seconds=[line["duration_s"] for line in restored],
        )
        progress(f"{name}: {before} -> {after} {msgspec.json.encode(outcome).decode()}")
        return outcome

    def end(self) -> None:
        if self._load is not None:
            self._load.end()
        for worker in self.workers.values():
            worker.stop()
        self.reader.end()

    def _flowing(self) -> None:
        def flowing() -> bool:
            now_s = time.monotonic()
            arrivals = self.reader.arrivals
            return all(is_flowing(arrivals[number], now_s, FLOWING_S) for number in range(self.partitions))

        wait_until(flowing, what="all partitions write fresh events", timeout_s=PATIENCE_S, every_s=0.1)


def play(stage: Stage) -> Iterable[Outcome]:
    """All scenes, one after another on the same state."""
    a, b = stage.a, stage.b
    stage.fill()
    yield stage.scene(
        "killed after a burst of that many devices, back with its disk (static)",
        a.kill,
        lambda: a.start(static=True),
    )
    stage.restart(static=True)
    yield stage.scene("killed, back with its disk (static)", a.kill, lambda: a.start(static=True))
    yield stage.scene(
        "stopped (SIGTERM) and started again with its disk (static)", a.stop, lambda: a.start(static=True)
    )
    yield stage.scene(
        "killed, back with an empty disk (static)", a.kill, a.lose_disk, lambda: a.start(static=True)
    )
    yield stage.scene("killed for good, the other takes over (static)", a.kill)
    yield stage.scene("joins again with its disk (static)", lambda: a.start(static=True))
    for worker in (a, b):
        worker.stop()
    b.lose_disk()
    stage.restart(static=False)
    yield stage.scene("leaves (SIGTERM), the other restores (dynamic)", a.stop)
    a.lose_disk()
    yield stage.scene("joins with an empty disk (dynamic)", lambda: a.start(static=False))
    yield stage.scene(
        "killed, another with an empty disk in its place (dynamic)",
        a.kill,
        a.lose_disk,
        lambda: a.start(static=False),
    )


def table(outcomes: Iterable[Outcome]) -> Table:
    """Longest silences and times in seconds; minimum / median / maximum over the partitions."""
    result = Table(box=box.MARKDOWN)
    for column in ("what happens to one of two workers", "silence of its partitions", "caught up after"):
        result.add_column(column, justify="left" if column.startswith("what") else "right")
    result.add_column("of those that stay", justify="right")
    result.add_column("records restored", justify="right")
    result.add_column("a partition's restore", justify="right")
    for outcome in outcomes:
        result.add_row(
            outcome.scene,
            *(spread(values) for values in (outcome.moved, outcome.caught_up, outcome.stayed)),
            f"{outcome.restored_records:,}",
            spread(outcome.restore_seconds),
        )
    return result


def spread(values: list[float]) -> str:
    if not values:
        return ""
    return f"{min(values):.1f} / {median(values):.1f} / {max(values):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.failover", description="Measure how long partitions stand still."
    )
    parser.add_argument("--bootstrap-servers", help="default: a throw-away broker")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--devices", type=int, default=1_000_000, help="of each of the two workers")
    parser.add_argument("--scratch", type=Path, help="where the workers' disks and logs go; kept")
    options = parser.parse_args()
    servers = options.bootstrap_servers or os.environ.get(BOOTSTRAP_VARIABLE)
    if servers:
        run(servers, options)
    else:
        with throw_away_broker() as address:
            run(address, options)


def run(servers: str, options: argparse.Namespace) -> None:
    with scratch_directory("failover") as scratch:
        directory = options.scratch or scratch
        directory.mkdir(parents=True, exist_ok=True)
        stage = Stage(servers, directory, options.partitions, 2 * options.devices)
        outcomes = []
        try:
            for outcome in play(stage):
                outcomes += [outcome]  # what was measured before a failure is kept
        finally:
            stage.end()
            Console(width=200).print(table(outcomes))
            progress(str(write(outcomes, "failover")))


if __name__ == "__main__":
    main()
