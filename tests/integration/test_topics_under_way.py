"""Topics that are deleted or recreated while a worker runs: it ends with their name and loses nothing."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient

from testing.wait import eventually
from tests.chaos.deployment import Deployment
from worker.adapters.kafka import topics as kafka_topics
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000
QUICK = {"KAFKA_TRANSACTION_TIMEOUT_MS": "4000", "KAFKA_HEARTBEAT_INTERVAL_MS": "200"}


async def delete(deployment: Deployment, topic: str) -> None:
    """Delete it, and wait until it is gone."""
    servers = deployment.config.kafka.bootstrap_servers
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.delete_topics([topic])

        async def is_gone() -> bool:
            return not await kafka_topics.partition_counts(deployment.config.kafka, [topic])

        await eventually(is_gone, what=f"{topic} is gone")
    finally:
        await admin.close()


def test_a_deleted_output_topic_ends_the_worker_with_its_name(deployment: Deployment) -> None:
    async def scenario() -> str:
        await deployment.create_topics(1)
        worker = deployment.worker("only", QUICK)
        worker.start()
        await worker.wait_for("partition.initialized")
        await delete(deployment, deployment.config.topics.enriched)
        await deployment.feed(make_traffic(500, seed=2, now_ms=NOW_MS).records)
        assert await worker.ended(timeout_s=90) == 1
        (failed,) = worker.log("worker.failed")
        return str(failed["reason"])

    reason = asyncio.run(scenario())
    assert reason.startswith(f"{deployment.config.topics.enriched} is gone, or may not be seen any more")
    assert "sessionizer topics create" in reason


def test_a_recreated_changelog_ends_the_worker_before_its_store_goes_wrong(deployment: Deployment) -> None:
    async def scenario() -> str:
        await deployment.create_topics(1)
        records = make_traffic(4_000, seed=2, now_ms=NOW_MS).records
        worker = deployment.worker("only", QUICK)
        worker.start()
        await deployment.feed(records[:-20])
        await deployment.caught_up()
        await delete(deployment, deployment.config.changelog_topic)
        await deployment.create_topics(1)
        await deployment.feed(records[-20:])
        assert await worker.ended(timeout_s=90) == 1
        (failed,) = worker.log("worker.failed")
        return str(failed["reason"])

    reason = asyncio.run(scenario())
    assert "changelog" in reason
    assert "kafka.group_id" in reason


def test_a_changelog_deleted_under_the_worker_ends_it_by_name_with_the_way_out(
    deployment: Deployment,
) -> None:
    async def scenario() -> tuple[str, str]:
        await deployment.create_topics(1)
        records = make_traffic(500, seed=2, now_ms=NOW_MS).records
        worker = deployment.worker("only", QUICK)
        worker.start()
        await deployment.feed(records[:-20])
        await deployment.caught_up()
        await delete(deployment, deployment.config.changelog_topic)
        await deployment.feed(records[-20:])
        assert await worker.ended(timeout_s=120) == 1
        (failed,) = worker.log("worker.failed")
        return str(worker.log("transaction.lost")[0]["reason"]), str(failed["reason"])

    first, reason = asyncio.run(scenario())
    changelog = deployment.config.changelog_topic
    assert first == f"send to {changelog}: there is no such topic"
    assert reason.startswith(f"{changelog} is gone, or may not be seen any more")
    assert "start a new group" in reason


def test_a_deleted_raw_topic_has_one_remedy_while_running_at_a_restart_and_recreated(
    deployment: Deployment,
) -> None:
    async def scenario() -> list[str]:
        await deployment.create_topics(1)
        # Dynamic: a static member that is back in time gets what it had, which is nothing.
        worker = deployment.worker("only", {**QUICK, "KAFKA_GROUP_INSTANCE_ID": ""})
        worker.start()
        await deployment.feed(make_traffic(500, seed=2, now_ms=NOW_MS).records)
        await deployment.caught_up()
        await delete(deployment, deployment.config.topics.raw)
        assert await worker.ended(timeout_s=90) == 1
        worker.start()
        assert await worker.ended() == 1
        await deployment.create_topics(1)
        worker.start()
        assert await worker.ended() == 1
        return [str(line["reason"]) for line in worker.log("worker.failed")]

    running, restarted, recreated = asyncio.run(scenario())
    raw, group_id = deployment.config.topics.raw, deployment.config.kafka.group_id
    assert running.startswith(f"{raw} is gone, or may not be seen any more. Do not recreate it")
    assert f"{raw}: does not exist, or may not be seen; group {group_id} has run before" in restarted
    assert "do not recreate it for this group: set another kafka.group_id" in restarted
    assert "recreated" in recreated
    for reason in (running, restarted, recreated):
        assert "kafka.group_id" in reason
        assert "reset-offsets" not in reason
