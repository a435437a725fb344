"""SIGKILL at random instants: two workers, a restart after each kill, and the promises at the end.

``python -m tests.chaos --help`` runs it at any size; the ordinary test run has a short form. The schedule
comes from the seed; the instants within the workers' work are the machine's.
"""

import asyncio
import random
from dataclasses import dataclass

from tests.chaos.deployment import Deployment, feeding
from tests.chaos.promises import Verdict, check_promises
from worker.demo.traffic import make_traffic

_TRAFFIC_ENDS_MS = 1_760_000_000_000


@dataclass(frozen=True)
class KillPlan:
    """How much traffic, and how often to kill. ``mean_pause_s`` is the mean time between two kills."""

    events: int
    kills: int
    partitions: int = 4
    workers: int = 2
    mean_pause_s: float = 3.0
    seed: int = 1


async def run_kills(deployment: Deployment, plan: KillPlan) -> Verdict:
    """Carry out the plan and check the promises."""
    rng = random.Random(plan.seed)
    await deployment.create_topics(plan.partitions)
    traffic = make_traffic(plan.events, seed=plan.seed, now_ms=_TRAFFIC_ENDS_MS)
    workers = [deployment.worker(f"worker-{number}") for number in range(plan.workers)]
    for worker in workers:
        worker.start()
    async with feeding(deployment, traffic.records, over_s=plan.kills * plan.mean_pause_s):
        for _ in range(plan.kills):
            await asyncio.sleep(rng.expovariate(1 / plan.mean_pause_s))
            victim = rng.choice(workers)
            victim.kill()
            await asyncio.sleep(rng.uniform(0, 1.0))
            victim.start()
    await deployment.caught_up(timeout_s=60 + plan.events / 2_000)
    return await check_promises(deployment.config)
