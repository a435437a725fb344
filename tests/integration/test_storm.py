"""A group that never comes to rest: workers join and leave every two seconds, and the outputs show nothing of
it.
"""

import asyncio
import random
from collections import Counter

import pytest

from testing.worker_process import WorkerProcess
from tests.chaos.any_key import shuffled_traffic, verdict_once_all_is_read
from tests.chaos.deployment import Deployment, feeding
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000
MOST_WORKERS = 6


@pytest.mark.parametrize("static", [True, False], ids=["static members", "dynamic members"])
def test_a_rebalance_storm_loses_nothing_and_repeats_nothing(deployment: Deployment, static: bool) -> None:
    events, changes = 30_000, 10
    rng = random.Random(23 + static)
    options = {} if static else {"KAFKA_GROUP_INSTANCE_ID": ""}
    workers = [deployment.worker(f"worker-{number}", options) for number in range(MOST_WORKERS)]

    starts: Counter[str] = Counter()

    def start(worker: WorkerProcess) -> None:
        starts[worker.name] += 1
        worker.start()

    async def change() -> None:
        """One more worker or one less, by chance: stopped as it should be, or killed."""
        running = [worker for worker in workers if worker.running]
        idle = [worker for worker in workers if not worker.running]
        if len(running) < 2 or (idle and rng.random() < 0.5):
            start(rng.choice(idle))
        elif rng.random() < 0.3:
            rng.choice(running).kill()
        else:
            leaving = rng.choice(running)
            await leaving.wait_for("worker.started", starts[leaving.name])
            assert await leaving.stop(timeout_s=15.0) == 0

    async def scenario() -> None:
        await deployment.create_topics(16)
        records = shuffled_traffic(make_traffic(events, seed=23, now_ms=NOW_MS).records, seed=23)
        start(workers[0])
        start(workers[1])
        async with feeding(deployment, records, over_s=changes * 2.0):
            for _ in range(changes):
                await asyncio.sleep(2.0)  # the pace of the storm
                await change()
        verdict = await verdict_once_all_is_read(deployment)
        assert verdict.broken == []
        assert verdict.events == events

    asyncio.run(scenario())
