"""What a transaction costs, worker and brokers: the same small load committed often and rarely.

Decides how the cost is separated from all else: with two commit intervals under one load, only the number of
transactions differs, so the difference of CPU time over the difference of transactions is one
transaction's. The broker is a single node: replication is not in the figure. Measured after a warm-up, since
a cold broker computes several times as long.
"""

import argparse
import sys
import time
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.broker import throw_away_broker
from bench.process_cost import ProcessTree, listening_pid
from bench.report import write
from bench.run import environment_of
from bench.stage import Load, Worker
from bench.topics import APPEND_TIME, Topics
from testing.scratch import scratch_directory
from testing.wait import wait_until
from worker.core.partitioner import Partitioning

INTERVALS_MS = (100, 2_000)
EVENTS_A_SECOND = 20.0  # of each partition: more often than the shorter interval
WARM_UP_S = 15.0
WARM_UP_BROKER_S = 60.0  # a broker just started took 6 ms of CPU a transaction, later 2


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """One partition count and commit interval, over ``seconds``."""

    partitions: int
    interval_ms: int
    seconds: float
    transactions: int
    worker_cpu_s: float
    broker_cpu_s: float


def measure(servers: str, partitions: int, interval_ms: int, seconds: float, directory: Path) -> Cost:
    """A fresh group's cost while it commits its trickle."""
    topics = Topics(servers)
    group, names = topics.fresh_outputs("commit", partitions)
    raw = f"{group}.raw"
    topics.create(raw, partitions, APPEND_TIME)
    settings = {"SESSIONIZER_KAFKA_COMMIT_INTERVAL_MS": str(interval_ms)}
    worker = Worker(group, directory, environment_of(servers, group, raw, names, directory, settings))
    pid = listening_pid(int(servers.rpartition(":")[2]))
    assert pid is not None, "the broker is a process of this machine"
    broker = ProcessTree(pid)
    worker.start(static=True)
    wait_until(
        lambda: (
            len([line for line in worker.lines() if line["event"] == "partition.initialized"]) >= partitions
        ),
        what="all partitions run",
        timeout_s=120,
        every_s=0.1,
    )
    load = Load(servers, raw, devices_of(partitions), per_second=EVENTS_A_SECOND)
    load.start()
    try:
        time.sleep(WARM_UP_S)
        before = transactions(worker), worker.cpu_s(), broker.read()[0], time.monotonic()
        time.sleep(seconds)
        after = transactions(worker), worker.cpu_s(), broker.read()[0], time.monotonic()
    finally:
        load.end()
        worker.stop()
        topics.delete([raw, *names.values()])
    return Cost(
        partitions=partitions,
        interval_ms=interval_ms,
        seconds=after[3] - before[3],
        transactions=after[0] - before[0],
        worker_cpu_s=after[1] - before[1],
        broker_cpu_s=after[2] - before[2],
    )


def transactions(worker: Worker) -> int:
    """How many it has committed, as its status lines say (one a second)."""
    return sum(line["transactions"] for line in worker.lines() if line["event"] == "worker.status")


def devices_of(partitions: int) -> list[list[str]]:
    """Some devices of each partition."""
    partition_of = Partitioning(partitions=partitions).partition_of
    found: list[list[str]] = [[] for _ in range(partitions)]
    number = 0
    while min(map(len, found)) < 20:
        device_id = f"device-{number}"
        found[partition_of(device_id)].append(device_id)
        number += 1
    return found


def table(costs: list[Cost]) -> Table:
    """The costs, then the differences."""
    result = Table(box=box.MARKDOWN)
    for column in ("partitions", "interval ms", "transactions/s", "worker CPU %", "broker CPU %"):
        result.add_column(column, justify="right")
    result.add_column("worker ms a transaction", justify="right")
    result.add_column("broker ms a transaction", justify="right")
    for cost in costs:
        result.add_row(
            str(cost.partitions),
            str(cost.interval_ms),
            f"{cost.transactions / cost.seconds:.1f}",
            f"{100 * cost.worker_cpu_s / cost.seconds:.1f}",
            f"{100 * cost.broker_cpu_s / cost.seconds:.1f}",
        )
    for partitions in dict.fromkeys(cost.partitions for cost in costs):
        of_these = [cost for cost in costs if cost.partitions == partitions]
        often, rarely = (sums([cost for cost in of_these if cost.interval_ms == ms]) for ms in INTERVALS_MS)
        more = often[0] - rarely[0]
        result.add_row(
            str(partitions),
            "difference",
            f"{more:.1f}",
            "",
            "",
            f"{1000 * (often[1] - rarely[1]) / more:.2f}",
            f"{1000 * (often[2] - rarely[2]) / more:.2f}",
        )
    return result


def sums(costs: list[Cost]) -> tuple[float, float, float]:
    """Transactions, worker's and broker's CPU seconds, each a second, over all runs."""
    seconds = sum(cost.seconds for cost in costs)
    return (
        sum(cost.transactions for cost in costs) / seconds,
        sum(cost.worker_cpu_s for cost in costs) / seconds,
        sum(cost.broker_cpu_s for cost in costs) / seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.commit_cost", description="Measure what a transaction costs."
    )
    parser.add_argument("--partitions", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement")
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    costs = []
    with (
        scratch_directory("commit") as directory,
        throw_away_broker() as servers,
    ):
        warm_up = measure(servers, max(options.partitions), min(INTERVALS_MS), WARM_UP_BROKER_S, directory)
        sys.stderr.write(f"not counted: {warm_up}\n")
        for _ in range(options.runs):
            for partitions in options.partitions:
                for interval_ms in INTERVALS_MS:
                    cost = measure(servers, partitions, interval_ms, options.seconds, directory)
                    sys.stderr.write(f"{cost}\n")
                    costs.append(cost)
    Console(width=140).print(table(costs))
    sys.stderr.write(f"{write(costs, 'commit-cost')}\n")


if __name__ == "__main__":
    main()
