"""Batches that clients fall over, in front of a worker: odd header names cost nothing, damage is named."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.produce import ProduceRequest
from msgspec import json

from testing.kafka.broker import LocalBroker
from testing.wait import eventually
from testing.worker_process import WorkerProcess
from tests.batch_builder import Built, built_batch
from tests.chaos.deployment import Deployment
from tests.chaos.topics import read_all
from tests.contract.cluster import write
from worker.adapters.kafka.decompression import GZIP, ZSTD

NOW_MS = 1_760_000_000_000
CAFE = bytes.fromhex("636166e9")


def event(id_: str) -> bytes:
    """A batch of one."""
    return json.encode([{"id": id_, "type": "page_view", "device_id": "d1", "timestamp": NOW_MS}])


async def produce(servers: str, topic: str, batch: bytes) -> None:
    """Send these bytes to partition 0 as they are."""
    client = AIOKafkaClient(bootstrap_servers=servers)
    await client.bootstrap()
    try:
        await client._wait_on_metadata(topic)

        async def accepted() -> bool:
            answer = await client.send(1, ProduceRequest(None, -1, 10_000, [(topic, [(0, batch)])]))
            error = for_code(answer.topics[0][1][0][1])
            assert error is NoError or error.retriable, answer  # a new partition may not have its leader yet
            return error is NoError

        await eventually(accepted, what="the broker takes the batch")
    finally:
        await client.close()


async def are_enriched(deployment: Deployment, *ids: str) -> None:
    """Wait until exactly these have come out."""
    config = deployment.config

    async def found() -> bool:
        records = (await read_all(config.kafka.bootstrap_servers, config.topics.enriched))[0]
        return [json.decode(record.value)["id"] for record in records] == list(ids)

    await eventually(found, what=f"{ids} are out", timeout_s=60)


def test_events_under_header_names_that_are_not_utf_8_are_enriched(deployment: Deployment) -> None:
    async def scenario() -> None:
        servers, raw = deployment.config.kafka.bootstrap_servers, deployment.config.topics.raw
        await deployment.create_topics(1)
        for number, codec in enumerate((0, GZIP, ZSTD)):
            batch = built_batch(
                Built(event(f"{number}a"), [(CAFE, b"1")]), Built(event(f"{number}b")), codec=codec
            )
            await produce(servers, raw, batch)
        worker = deployment.worker("reader")
        worker.start()
        await are_enriched(deployment, "0a", "0b", "1a", "1b", "2a", "2b")
        assert await worker.stop() == 0

    asyncio.run(scenario())


def flip(broker: LocalBroker, directory: Path, topic: str, content: bytes) -> None:
    """Change one byte on the stopped broker's disk: in this, or in the records of the first batch."""
    broker.stop()
    (segment,) = (directory / "broker" / "data" / f"{topic}-0").glob("*.log")
    stored = bytearray(segment.read_bytes())
    stored[stored.index(content) if content else 70] ^= 0x20
    segment.write_bytes(stored)
    broker.start()


async def reason(worker: WorkerProcess) -> str:
    """Why it ended: one reason, without a trace."""
    worker.start()
    assert await worker.ended(60) == 1, worker.raw_log()[-3000:]
    (failed,) = worker.log("worker.failed")
    assert "Traceback" not in worker.raw_log()
    return str(failed["reason"])


@pytest.mark.parametrize("where", ["raw", "changelog"])
def test_a_batch_that_is_damaged_on_disk_ends_the_worker_with_its_place(
    local_broker: LocalBroker, tmp_path: Path, topic_prefix: str, where: str
) -> None:
    options = {"KAFKA_HEARTBEAT_INTERVAL_MS": "200", "KAFKA_GROUP_INSTANCE_ID": ""}
    with Deployment(local_broker.bootstrap_servers, topic_prefix, tmp_path, options) as deployment:
        config = deployment.config
        servers, raw = config.kafka.bootstrap_servers, config.topics.raw

        async def before() -> None:
            await deployment.create_topics(1)
            await write(servers, raw, [event("first")])
            worker = deployment.worker("before")
            worker.start()
            await are_enriched(deployment, "first")
            assert await worker.stop() == 0
            await write(servers, raw, [event("second")])

        asyncio.run(before())
        topic, content = (raw, b'"second"') if where == "raw" else (config.changelog_topic, b"")
        flip(local_broker, tmp_path, topic, content)
        why = asyncio.run(reason(deployment.worker("before" if where == "raw" else "elsewhere")))
        assert f"{topic}/0 cannot be read: its checksum (CRC)" in why
        if where == "raw":
            assert "offset 1 of" in why
            assert "kafka-delete-records" in why
