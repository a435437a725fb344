"""``python -m tests.chaos``: faults of every kind on a cluster of its own, then every promise checked.

``--duration`` says for how long (``make chaos DURATION=600 SEED=1``). With ``--kills`` instead: only kills at
random, on one broker or a given one, for machines that hold no cluster.
"""

import argparse
import asyncio
import contextlib
import logging
import time
from pathlib import Path

from testing.kafka import discovery
from testing.kafka.cluster import SIZE
from testing.scratch import scratch_directory
from tests.chaos.deployment import Deployment
from tests.chaos.journal import Journal
from tests.chaos.kills import KillPlan, run_kills
from tests.chaos.report import write_report
from tests.chaos.run import Plan, run_chaos
from tests.chaos.schedule import schedule


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--duration", type=float, default=120.0, help="seconds of faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, help="default 3; 2 with --kills")
    parser.add_argument("--partitions", type=int, help="default 8; 4 with --kills")
    parser.add_argument("--events-per-second", type=float, default=1000.0)
    parser.add_argument("--report", type=Path, default=Path("chaos-report"), help="a directory")
    parser.add_argument("--kills", type=int, help="only so many kills, on one broker")
    parser.add_argument("--events", type=int, default=1_000_000, help="with --kills")
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are away half the time
    with scratch_directory("chaos") as directory:
        return (_chaos if options.kills is None else _kills)(options, directory)


def _chaos(options: argparse.Namespace, directory: Path) -> int:
    workers = options.workers or 3
    lanes = schedule(options.seed, options.duration, mortals=max(1, workers - 1), brokers=SIZE)
    plan = Plan(
        duration_s=options.duration,
        lanes=lanes,
        seed=options.seed,
        workers=workers,
        partitions=options.partitions or 8,
        events_a_second=options.events_per_second,
    )
    journal = Journal(options.report / "faults.ndjson")
    with contextlib.closing(journal):
        outcome = asyncio.run(run_chaos(discovery.jars(), directory, plan, journal))
        report = write_report(options.report, plan, outcome, journal.lines)
    print("\n".join(outcome.verdict.broken) or "all promises held", f"- see {report}")
    return 1 if outcome.verdict.broken else 0


def _kills(options: argparse.Namespace, directory: Path) -> int:
    plan = KillPlan(
        events=options.events,
        kills=options.kills,
        workers=options.workers or 2,
        partitions=options.partitions or 4,
        seed=options.seed,
    )
    with contextlib.ExitStack() as running:
        servers = running.enter_context(discovery.found_broker())
        prefix = f"chaos-{int(time.time())}."
        deployment = running.enter_context(Deployment(servers, prefix, directory))
        started = time.monotonic()
        verdict = asyncio.run(run_kills(deployment, plan))
        seconds = time.monotonic() - started
    print(f"{plan.events} events, {plan.kills} kills, seed {plan.seed}: {seconds:.0f} s; {verdict}")
    return 1 if verdict.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
