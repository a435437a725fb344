"""Killed at any point of its work, a worker leaves nothing half done: each point once, before and after."""

import asyncio

from testing.worker_process import WorkerProcess
from tests.chaos.any_key import shuffled_traffic, verdict_once_all_is_read
from tests.chaos.crashing_worker import EXIT_CODE, POINTS, start_crashing
from tests.chaos.deployment import Deployment
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000
LANES = 2


def test_a_worker_killed_at_any_point_loses_nothing_and_repeats_nothing(deployment: Deployment) -> None:
    events_a_piece = 600
    finished = asyncio.Event()

    async def crash_at_each(worker: WorkerProcess, points: list[str]) -> None:
        for point in points:
            start_crashing(worker, point)
            assert await worker.ended(timeout_s=60) == EXIT_CODE, point
        worker.start()

    async def crash_when_another_joins(worker: WorkerProcess, point: str) -> None:
        """Partitions are revoked when a member joins that the group does not know."""
        await worker.stop()
        restored = len(worker.log("partition.restored"))
        start_crashing(worker, point)
        await worker.wait_for("partition.restored", restored + 1)
        joining = deployment.worker(f"joining {point}")
        joining.start()
        assert await worker.ended(timeout_s=60) == EXIT_CODE, point
        worker.start()

    async def feed_until_finished() -> int:
        sent = 0
        while not finished.is_set():
            sent += 1
            traffic = make_traffic(events_a_piece, seed=1_000 + sent, now_ms=NOW_MS)
            await deployment.feed(shuffled_traffic(traffic.records, seed=sent))
            await asyncio.sleep(0.5)
        return sent * events_a_piece

    async def scenario() -> None:
        await deployment.create_topics(2 * LANES)
        feeding_task = asyncio.get_running_loop().create_task(feed_until_finished())
        workers = [deployment.worker(f"worker-{number}") for number in range(LANES)]
        alone = [point for point in POINTS if not point.endswith("revoke")]
        await asyncio.gather(*(crash_at_each(worker, alone[n::LANES]) for n, worker in enumerate(workers)))
        for point in set(POINTS) - set(alone):
            await crash_when_another_joins(workers[0], point)
        finished.set()
        sent = await feeding_task
        verdict = await verdict_once_all_is_read(deployment)
        assert verdict.broken == []
        assert verdict.events == sent

    asyncio.run(scenario())
