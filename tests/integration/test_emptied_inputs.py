"""Input topics whose logs were emptied: a worker goes on where nothing was lost, and says how to go on where
something was.
"""

import asyncio

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from msgspec import json

from testing.wait import eventually
from testing.worker_process import WorkerProcess
from tests.chaos.deployment import Deployment
from tests.chaos.topics import committed_offsets, end_offsets, read_all
from tests.contract.cluster import reader, write, write_in_transaction
from worker.core.partitioner import Partitioning

NOW_MS = 1_760_000_000_000


def batch(partition: int, id_: str) -> bytes:
    """An event of a device that belongs to that partition of two."""
    partition_of = Partitioning(partitions=2).partition_of
    device = next(d for d in map("d{}".format, range(100)) if partition_of(d) == partition)
    return json.encode([{"id": id_, "type": "page_view", "device_id": device, "timestamp": NOW_MS}])


async def committed(deployment: Deployment) -> dict[TopicPartition, int]:
    """The group's offsets."""
    kafka = deployment.config.kafka
    return await committed_offsets(kafka.bootstrap_servers, kafka.group_id)


async def no_lag_is_left(deployment: Deployment) -> None:
    """Wait until the lag of both inputs is 0, as Kafka's tools count it."""
    config = deployment.config

    async def is_zero() -> bool:
        offsets = await committed(deployment)
        for topic in (config.topics.raw, config.repartition_topic):
            for number, end in (await end_offsets(config.kafka.bootstrap_servers, topic)).items():
                if offsets.get(TopicPartition(topic, number)) != end:
                    return False
        return True

    await eventually(is_zero, what="the lag of both inputs is 0", timeout_s=60)


async def delete_everything(deployment: Deployment, topic: str) -> None:
    """Retention has taken all that is there."""
    servers = deployment.config.kafka.bootstrap_servers
    ends = await end_offsets(servers, topic)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, n): RecordsToDelete(end) for n, end in ends.items()})
    await admin.close()


async def enriched_ids(deployment: Deployment) -> set[str]:
    """Of all events that came out."""
    config = deployment.config
    found = await read_all(config.kafka.bootstrap_servers, config.topics.enriched)
    return {json.decode(record.value)["id"] for records in found.values() for record in records}


async def read(deployment: Deployment, worker: WorkerProcess, *ids: str) -> None:
    """Start the worker and wait until these have come out and nothing is left to read."""
    worker.start()

    async def are_out() -> bool:
        assert worker.running, worker.raw_log()[-3000:]
        return await enriched_ids(deployment) == set(ids)

    await eventually(are_out, what=f"{ids} are out", timeout_s=60)
    await no_lag_is_left(deployment)


def test_an_emptied_repartition_topic_does_not_stop_anybody(deployment: Deployment) -> None:
    """An event of partition 1 comes through partition 0: the repartition log is event, marker."""

    async def scenario() -> None:
        config = deployment.config
        servers, repartition = config.kafka.bootstrap_servers, config.repartition_topic
        await deployment.create_topics(2)
        await write(servers, config.topics.raw, [batch(1, "first")], partition=0)
        worker = deployment.worker("quiet")
        await read(deployment, worker, "first")
        assert (await committed(deployment))[TopicPartition(repartition, 1)] == 2
        assert await worker.stop() == 0

        await delete_everything(deployment, repartition)
        await delete_everything(deployment, config.topics.raw)
        await write(servers, config.topics.raw, [batch(1, "second")], partition=0)
        await read(deployment, worker, "first", "second")
        assert await worker.stop() == 0
        assert not worker.log("worker.failed")
        assert not worker.log("transaction.lost")

    asyncio.run(scenario())


def test_a_log_that_is_emptied_under_a_running_worker_does_not_stop_it(deployment: Deployment) -> None:
    async def scenario() -> None:
        config = deployment.config
        servers, raw = config.kafka.bootstrap_servers, config.topics.raw
        await deployment.create_topics(2)
        for transaction in ("committed", "aborted"):
            value = [batch(0, transaction)]
            await write_in_transaction(servers, raw, value, raw, abort=transaction == "aborted")
        first, second = deployment.worker("first"), deployment.worker("second")
        await read(deployment, first, "committed")
        for topic in (raw, config.repartition_topic):
            await delete_everything(deployment, topic)
        second.start()  # a rebalance: one partition stays, the other begins again
        await second.wait_for("partition.restored")
        await write(servers, raw, [batch(0, "a")], partition=0)
        await write(servers, raw, [batch(1, "b")], partition=1)

        async def are_out() -> bool:
            return await enriched_ids(deployment) == {"committed", "a", "b"}

        await eventually(are_out, what="both are out", timeout_s=60)
        await no_lag_is_left(deployment)
        assert [await worker.stop() for worker in (first, second)] == [0, 0]

    asyncio.run(scenario())


def test_a_loss_is_refused_and_may_be_accepted_without_losing_the_state(deployment: Deployment) -> None:
    async def scenario() -> None:
        config = deployment.config
        servers, raw = config.kafka.bootstrap_servers, config.topics.raw
        await deployment.create_topics(1)
        await write(servers, raw, [batch(0, "first")])
        worker = deployment.worker("behind", {"KAFKA_GROUP_INSTANCE_ID": ""})
        await read(deployment, worker, "first")
        assert await worker.stop() == 0
        await write(servers, raw, [batch(0, "lost"), batch(0, "lost, too")])
        await delete_everything(deployment, raw)

        worker.start()
        assert await worker.ended() == 1
        [failed] = worker.log("worker.failed")
        assert f"{raw} begins at offset 3 and has been read up to 1" in failed["reason"]
        assert f"--topic {raw}:0 --reset-offsets --to-earliest" in failed["reason"]

        await write(servers, raw, [batch(0, "last")])
        async with reader(servers, raw, config.kafka.group_id) as (operator, partition):
            await operator.commit({partition: 3})
        await read(deployment, worker, "first", "last")
        [passed] = worker.log("input.gap_skipped")
        assert (passed["topic"], passed["from_offset"], passed["to_offset"]) == (raw, 1, 3)
        found = (await read_all(servers, config.topics.enriched))[0]
        assert "new_device" not in json.decode(found[-1].value).get("flags", ()), "its state is kept"
        assert await worker.stop() == 0

    asyncio.run(scenario())
