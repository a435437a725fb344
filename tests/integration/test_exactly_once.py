"""Exactly once, seen from the outside: whatever is done to the workers, the topics read as if nothing had
been.
"""

import asyncio
import shutil
import signal

from testing.wait import eventually
from tests.chaos.deployment import Deployment, feeding
from tests.chaos.kills import KillPlan, run_kills
from tests.chaos.promises import check_promises
from tests.chaos.topics import end_offsets
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000


def test_random_kills_lose_nothing_and_repeat_nothing(deployment: Deployment) -> None:
    verdict = asyncio.run(run_kills(deployment, KillPlan(events=100_000, kills=5, seed=7)))
    assert verdict.broken == []
    assert verdict.events == 100_000


def test_sigterm_under_load_finishes_its_transactions_and_exits_0(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(4)
        traffic = make_traffic(40_000, seed=3, now_ms=NOW_MS)
        worker = deployment.worker("only")
        worker.start()
        async with feeding(deployment, traffic.records, over_s=4.0):
            for stops in range(3):
                await worker.wait_for("worker.status", count=len(worker.log("worker.status")) + 1)
                assert await worker.stop(timeout_s=10.0) == 0
                assert len(worker.log("worker.stopped")) == stops + 1
                servers, topic = deployment.config.kafka.bootstrap_servers, deployment.config.topics.enriched
                assert await end_offsets(servers, topic, committed=True) == await end_offsets(servers, topic)
                worker.start()
        await deployment.caught_up()
        verdict = await check_promises(deployment.config)
        assert verdict.broken == []
        assert sum(status["transactions_lost"] for status in worker.log("worker.status")) == 0

    asyncio.run(scenario())


def test_a_zombie_writes_nothing_visible_and_does_not_fight_the_new_owner(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(4)
        traffic = make_traffic(60_000, seed=5, now_ms=NOW_MS)
        third = len(traffic.records) // 3
        zombie, heir = deployment.worker("zombie"), deployment.worker("heir")
        zombie.start()
        await zombie.wait_for("partition.initialized", 4)
        heir.start()
        await heir.wait_for("partition.restored", 2)
        async with feeding(deployment, traffic.records[:third], over_s=2.0):
            await zombie.wait_for("worker.status", len(zombie.log("worker.status")) + 1)
            zombie.signal(signal.SIGSTOP)
        await heir.wait_for(
            "partition.restored", 4
        )  # its own two, and the zombie's after its session timed out
        await deployment.feed(traffic.records[third : 2 * third])
        await deployment.caught_up()
        zombie.signal(signal.SIGCONT)
        await deployment.feed(traffic.records[2 * third :])

        async def shared_again() -> bool:
            return zombie.partitions_running() == heir.partitions_running() == 2

        await eventually(shared_again, what="the group shares the partitions again", timeout_s=60)
        await deployment.caught_up()
        verdict = await check_promises(deployment.config)
        assert verdict.broken == []
        assert len(heir.log("transaction.lost")) <= 4  # at most once a partition, not again and again
        assert len(zombie.log("transaction.lost")) <= 8

    asyncio.run(scenario())


def test_workers_join_and_leave_under_load(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(6)
        traffic = make_traffic(80_000, seed=9, now_ms=NOW_MS)
        dynamic = {"KAFKA_GROUP_INSTANCE_ID": ""}  # a dynamic member leaves at once when it stops
        first, second, third = (deployment.worker(name, dynamic) for name in ("first", "second", "third"))
        first.start()
        await first.wait_for("partition.initialized", 6)
        async with feeding(deployment, traffic.records, over_s=10.0):
            second.start()
            await second.wait_for("partition.restored", 3)
            third.start()
            await third.wait_for("partition.restored", 2)
            assert await first.stop() == 0

            async def taken_over() -> bool:
                return second.partitions_running() + third.partitions_running() == 6

            await eventually(taken_over, what="the two that stay have all partitions")
        await deployment.caught_up()
        verdict = await check_promises(deployment.config)
        assert verdict.broken == []

    asyncio.run(scenario())


def test_a_deleted_state_directory_is_restored_from_the_changelog(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(2)
        traffic = make_traffic(30_000, seed=11, now_ms=NOW_MS)
        half = len(traffic.records) // 2
        worker = deployment.worker("only")
        worker.start()
        await deployment.feed(traffic.records[:half])
        await deployment.caught_up()
        assert await worker.stop() == 0
        shutil.rmtree(deployment.directory / "only")
        worker.start()
        await deployment.feed(traffic.records[half:])
        await deployment.caught_up()
        verdict = await check_promises(deployment.config)
        assert verdict.broken == []
        restored = worker.log("partition.restored")
        assert sum(line["device_records"] for line in restored) > 1_000

    asyncio.run(scenario())


def test_a_kept_state_directory_is_not_read_again(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(2)
        worker = deployment.worker("only")
        worker.start()
        await deployment.feed(make_traffic(5_000, seed=12, now_ms=NOW_MS).records)
        await deployment.caught_up()
        assert await worker.stop() == 0
        worker.start()
        await worker.wait_for("partition.restored", 2)
        assert [line["records"] for line in worker.log("partition.restored")] == [
            1,
            1,
        ]  # the last meta record

    asyncio.run(scenario())
