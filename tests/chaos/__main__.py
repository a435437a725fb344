"""``python -m tests.chaos``: kills at random, as many as wanted, on a broker of its own or a given one."""

import argparse
import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

from tests.chaos.deployment import Deployment
from tests.chaos.kills import KillPlan, run_kills
from tests.kafka import finding


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    plan = KillPlan(
        events=options.events,
        kills=options.kills,
        workers=options.workers,
        partitions=options.partitions,
        seed=options.seed,
    )
    with contextlib.ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="sessionizer-chaos-")))
        servers = running.enter_context(finding.found_broker(directory / "broker"))
        prefix = f"chaos-{int(time.time())}."
        deployment = running.enter_context(Deployment(servers, prefix, directory))
        started = time.monotonic()
        verdict = asyncio.run(run_kills(deployment, plan))
        seconds = time.monotonic() - started
    print(f"{plan.events} events, {plan.kills} kills, seed {plan.seed}: {seconds:.0f} s; {verdict}")
    return 1 if verdict.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
