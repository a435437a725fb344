"""More partitions: an existing group refuses them, and a new one that reads everything again finds the same
sessions.
"""

import asyncio
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from testing.wait import eventually
from tests.chaos.any_key import verdict_once_all_is_read
from tests.chaos.deployment import Deployment
from tests.chaos.topics import read_all
from tests.conftest import Kafka
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000


async def add_partitions(servers: str, count: int, *topics: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(count) for topic in topics})

        async def known() -> bool:
            described = await admin.describe_topics(list(topics))
            return all(len(topic["partitions"]) == count for topic in described)

        await eventually(known, what=f"{topics} have {count} partitions")
    finally:
        await admin.close()


async def session_ids(deployment: Deployment) -> set[bytes]:
    """Keys of all sessions."""
    found = await read_all(deployment.config.kafka.bootstrap_servers, deployment.config.topics.sessions)
    return {record.key for records in found.values() for record in records}


def test_partitions_are_added_by_a_new_group_that_reads_everything_again(
    kafka: Kafka, topic_prefix: str, tmp_path: Path
) -> None:
    traffic = make_traffic(10_000, seed=31, now_ms=NOW_MS).records
    half = len(traffic) // 2
    with (
        Deployment(kafka.bootstrap_servers, topic_prefix, tmp_path / "old") as old,
        Deployment(
            kafka.bootstrap_servers,
            f"{topic_prefix}new.",
            tmp_path / "new",
            {"TOPICS_RAW": f"{topic_prefix}raw"},
        ) as new,
    ):
        (tmp_path / "old").mkdir()
        (tmp_path / "new").mkdir()

        async def scenario() -> None:
            await old.create_topics(2)
            before = old.worker("before")
            before.start()
            await old.feed(traffic[:half])
            await old.caught_up()
            known = await session_ids(old)

            await add_partitions(kafka.bootstrap_servers, 4, old.config.topics.raw)
            assert await before.ended(timeout_s=60) == 1
            refusing = old.worker("refusing")
            refusing.start()
            assert await refusing.ended() == 1
            internal = (old.config.changelog_topic, old.config.repartition_topic)
            await add_partitions(kafka.bootstrap_servers, 4, *internal)
            refusing.start()
            assert await refusing.ended() == 1
            expected = (
                "had 2 partitions when this worker started, now 4",
                f"has 2 partitions, {old.config.topics.raw} has 4: they must be equal",
                "had 2 partitions when this group began, now 4",
            )
            failed = [*before.log("worker.failed"), *refusing.log("worker.failed")]
            for line, reason in zip(failed, expected, strict=True):
                assert reason in line["reason"]
                assert "More partitions" in line["reason"]

            await new.create_topics(4)
            after = new.worker("after")
            after.start()
            await new.caught_up()
            await new.feed(traffic[half:])
            verdict = await verdict_once_all_is_read(new)
            assert verdict.broken == []
            assert verdict.events == 10_000
            assert known <= await session_ids(new)

        asyncio.run(scenario())
