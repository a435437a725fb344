"""What ``run`` must refuse, in one line that says why and what to do, with exit code 1."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.chaos.deployment import Deployment
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000


async def _run_once(deployment: Deployment, name: str, events: int = 2_000) -> None:
    """Let a worker process some traffic and stop."""
    worker = deployment.worker(name)
    worker.start()
    await deployment.feed(make_traffic(events, seed=1, now_ms=NOW_MS).records)
    await deployment.caught_up()
    assert await worker.stop() == 0


async def _reason(deployment: Deployment, name: str, options: dict[str, str] | None = None) -> str:
    """Start a worker that cannot work; why it ended."""
    worker = deployment.worker(name, options)
    worker.start()
    assert await worker.ended() == 1, worker.raw_log()
    [failed] = worker.log("worker.failed")
    return str(failed["reason"])


def test_missing_topics_are_named_with_the_command_that_makes_them(deployment: Deployment) -> None:
    reason = asyncio.run(_reason(deployment, "early"))
    assert deployment.config.topics.raw in reason
    assert "topics create" in reason


def test_a_lost_changelog_is_refused_with_both_remedies(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(2)
        await _run_once(deployment, "before")
        admin = AIOKafkaAdminClient(bootstrap_servers=deployment.config.kafka.bootstrap_servers)
        await admin.start()
        await admin.delete_topics([deployment.config.changelog_topic])
        await admin.close()
        await deployment.create_topics(2)

    asyncio.run(scenario())
    reason = asyncio.run(_reason(deployment, "before"))
    assert "changelog" in reason
    assert "is empty" in reason
    assert "kafka.group_id" in reason


def test_group_offsets_reset_by_hand_are_refused_with_both_remedies(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(1)
        await _run_once(deployment, "before")
        operator = AIOKafkaConsumer(
            bootstrap_servers=deployment.config.kafka.bootstrap_servers,
            group_id=deployment.config.kafka.group_id,
            enable_auto_commit=False,
        )
        await operator.start()
        partition = TopicPartition(deployment.config.topics.raw, 0)
        operator.assign([partition])
        # The static member is still known to the group, so this waits until its session has timed out.
        async with asyncio.timeout(30):
            while True:
                try:
                    await operator.commit({partition: 5})
                    break
                except Exception:  # noqa: BLE001 - whatever the client calls a group that is not empty yet
                    await asyncio.sleep(0.2)
        await operator.stop()

    asyncio.run(scenario())
    reason = asyncio.run(_reason(deployment, "before"))
    assert "committed offsets" in reason
    assert "reset" in reason
    assert "kafka.group_id" in reason


def test_a_changelog_of_another_raw_topic_is_refused(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(1)
        await _run_once(deployment, "before")
        other = Deployment(
            deployment.config.kafka.bootstrap_servers,
            "unused.",
            deployment.directory,
            {
                **{f"TOPICS_{role.upper()}": name for role, name in deployment.config.topic_names.items()},
                "TOPICS_RAW": deployment.config.topics.enriched,
                "TOPICS_ENRICHED": deployment.config.topics.raw,
                "KAFKA_GROUP_ID": f"{deployment.config.kafka.group_id}-other",
            },
        )
        with other:
            assert "belongs to raw topic" in await _reason(other, "other")

    asyncio.run(scenario())


def test_a_batch_that_the_broker_refuses_for_good_ends_the_worker_by_name(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(1)
        admin = AIOKafkaAdminClient(bootstrap_servers=deployment.config.kafka.bootstrap_servers)
        await admin.start()
        await admin.alter_configs(
            [
                ConfigResource(
                    ConfigResourceType.TOPIC,
                    deployment.config.topics.enriched,
                    configs={"max.message.bytes": "1000"},
                )
            ]
        )
        await admin.close()
        await deployment.feed(make_traffic(500, seed=2, now_ms=NOW_MS).records)

    asyncio.run(scenario())
    reason = asyncio.run(_reason(deployment, "refused", {"KAFKA_HEARTBEAT_INTERVAL_MS": "200"}))
    assert deployment.config.topics.enriched in reason
    assert "MessageSizeTooLarge" in reason


def test_one_state_directory_serves_one_process(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(1)
        first = deployment.worker("shared")
        first.start()
        await first.wait_for("worker.started")
        assert "in use by another worker" in await _reason(deployment, "shared")

    asyncio.run(scenario())
