"""The raw producer on three brokers: a leader that goes takes its own partitions along, and no others."""

import asyncio
from pathlib import Path

from aiokafka.admin import NewTopic

from testing.kafka.cluster import Cluster, running
from tests.contract.cluster import admin
from tests.contract.raw_sender import (
    Journal,
    becomes_ready,
    becomes_stalled,
    configuration,
    producing,
    record,
)
from worker.adapters.kafka.raw_producer import KafkaRawProducer

ALONE, COPIED = "alone", "copied"


async def make_topics(servers: str) -> None:
    """``alone``: partition n is on broker n + 1 only. ``copied``: each partition is on all, n + 1 leads."""
    assignments = {ALONE: {0: [1], 1: [2], 2: [3]}, COPIED: {0: [1, 2, 3], 1: [2, 3, 1], 2: [3, 1, 2]}}
    async with admin(servers) as client:
        response = await client.create_topics(
            [NewTopic(name, -1, -1, replica_assignments=where) for name, where in assignments.items()]
        )
    assert all(code == 0 for _, code, _ in response.topic_errors), response


async def stall_one(cluster: Cluster, producer: KafkaRawProducer, journal: Journal, number: int) -> None:
    """The partition of that broker stalls, the others store on; then it comes back."""
    others = [n for n in range(3) if n != number]
    async with journal.load(producer, 1):  # of partition 0
        await becomes_stalled(producer, number)
        for n in range(50):
            records = [record(b"%s %d %d" % (b"others", number, n * 10 + other), other) for other in others]
            assert await journal.send(producer, *records) == ["stored"] * 2
            assert await producer.send([record(b"refused", number)]) == ["not_sent"]
        assert f"partition {number} of {ALONE}" in str(producer.problem())


def test_a_leader_that_is_silent_or_gone_stalls_its_own_partition_only(
    kafka_jars: Path, tmp_path: Path
) -> None:
    journal = Journal()

    async def scenario() -> None:
        async with running(kafka_jars, tmp_path) as cluster:
            servers = cluster.bootstrap_servers
            await make_topics(servers)
            config = configuration(servers, ALONE)
            async with producing(config, partitions=3) as producer:
                cluster.pause(2)
                try:
                    sent = asyncio.ensure_future(journal.send(producer, record(b"silent", 2)))
                    await stall_one(cluster, producer, journal, 2)
                    assert await sent in (["unknown"], ["not_sent"])
                finally:
                    cluster.resume(2)
                await becomes_ready(producer, 0, 1, 2)
                cluster.kill(1)
                await stall_one(cluster, producer, journal, 1)
                await cluster.start(1)
                await becomes_ready(producer, 0, 1, 2)
                assert producer.problem() is None
            await journal.check(servers, ALONE, 3)

    asyncio.run(scenario())


def test_a_partition_goes_on_with_its_next_leader(kafka_jars: Path, tmp_path: Path) -> None:
    journal = Journal()

    async def scenario() -> None:
        async with running(kafka_jars, tmp_path) as cluster:
            servers = cluster.bootstrap_servers
            await make_topics(servers)
            async with producing(configuration(servers, COPIED), partitions=3) as producer:
                async with journal.load(producer, 3):
                    await journal.become("stored", 300)
                    cluster.kill(1)
                    await becomes_stalled(producer, 1)
                    await becomes_ready(producer, 0, 1, 2)
                    await journal.become("stored", 300)
                await becomes_ready(producer, 0, 1, 2)
            await journal.check(servers, COPIED, 3)

    asyncio.run(scenario())
