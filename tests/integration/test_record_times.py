"""Whatever time a raw record has, and whichever way its events go, what comes out is the same."""

import asyncio
import json
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from testing.wait import eventually
from tests.chaos.deployment import Deployment
from tests.chaos.topics import read_all
from tests.commands import Sessionizer
from tests.conftest import Kafka
from tests.record_times import RECORD_TIMES_MS
from worker.core.partitioner import Partitioning
from worker.model.events import OLDEST_TIMESTAMP_MS

EVENT_MS = 1_780_000_000_000
PARTITIONING = Partitioning(partitions=2)
HOME = 0
# A broker reckons its clock minus the record's time in 64 bits, and refuses what does not fit.
TIMES_MS = [max(time_ms, -(2**63) + 10**13) for time_ms in RECORD_TIMES_MS]
UNLIMITED = str(2**63 - 1)


def device(way: str, number: int) -> str:
    """A device of the partition ``HOME``."""
    names = (f"{way}-{number}-{attempt}" for attempt in range(99))
    return next(name for name in names if PARTITIONING.partition_of(name) == HOME)


def value(way: str, number: int) -> bytes:
    """A login, a later event of its device, and one that is refused; equal for all ways but the device."""
    own = {"type": "page", "device_id": device(way, number)}
    events: list[dict[str, Any]] = [
        {**own, "id": f"{number}a", "timestamp": EVENT_MS + number, "user_id": "ann"},
        {**own, "id": f"{number}b", "timestamp": 99_999_999_999_999},
        {**own, "id": f"{number}c", "timestamp": 7},
    ]
    return json.dumps(events).encode()


async def let_any_time_in(servers: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        names = ("message.timestamp.before.max.ms", "message.timestamp.after.max.ms")
        wanted = dict.fromkeys(names, UNLIMITED)
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])
    finally:
        await admin.close()


async def produce(servers: str, topic: str, way: str, partition: int) -> None:
    """A record for each time."""
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    try:
        for number, time_ms in enumerate(TIMES_MS):
            batch = producer.create_batch()
            assert batch.append(key=None, value=value(way, number), timestamp=time_ms) is not None
            batch.close()
            await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


def without_place(line: bytes) -> dict[str, Any]:
    """An output without what differs by the way on purpose: device, session id, place, original text."""
    ignored = ("device_id", "session_id", "topic", "partition", "offset", "payload")
    return {name: found for name, found in json.loads(line).items() if name not in ignored}


def test_a_record_of_any_time_has_the_same_outcome_by_every_way(
    kafka: Kafka, topic_prefix: str, tmp_path: Path, sessionizer: Sessionizer
) -> None:
    with Deployment(kafka.bootstrap_servers, topic_prefix, tmp_path) as deployment:
        enriched, letters, raw = asyncio.run(through_kafka(deployment))
    assert sorted(raw) == sorted([*TIMES_MS] * 2)

    events = {way: [one for one in enriched if json.loads(one)["device_id"].startswith(way)] for way in WAYS}
    refused = {way: [one for one in letters if f'"{way}-' in json.loads(one)["payload"]] for way in WAYS}
    file = tmp_path / "raw.ndjson"
    file.write_bytes(
        b"".join(
            b'{"received_at":%d,"value":%b}\n' % (time_ms, value("direct", number))
            for number, time_ms in enumerate(TIMES_MS)
        )
    )
    output = tmp_path / "replayed"
    assert sessionizer("replay", file, "--output", output).code == 0
    events["replay"] = (output / "enriched.ndjson").read_bytes().splitlines()
    refused["replay"] = (output / "dead-letters.ndjson").read_bytes().splitlines()

    assert [json.loads(one).get("received_at") for one in refused["direct"]] == [
        time_ms if time_ms >= OLDEST_TIMESTAMP_MS else None for time_ms in TIMES_MS
    ]
    assert events["replay"] == events["direct"]
    expected = [without_place(one) for one in events["direct"]]
    assert len(expected) == 2 * len(TIMES_MS)
    assert sorted(map(str, map(without_place, events["repartitioned"]))) == sorted(map(str, expected))
    expected = [without_place(one) for one in refused["direct"]]
    assert [without_place(one) for one in refused["replay"]] == expected
    assert sorted(map(str, map(without_place, refused["repartitioned"]))) == sorted(map(str, expected))
    # The refused event stays where it came in; the letter names the raw record by every way.
    assert {(json.loads(one)["topic"], json.loads(one)["index"]) for one in letters} == {
        (topic_prefix + "raw", 2)
    }


WAYS = {"direct": HOME, "repartitioned": 1 - HOME}


async def through_kafka(deployment: Deployment) -> tuple[list[bytes], list[bytes], list[int]]:
    """Enriched events, dead letters, and the times that the raw topic has taken."""
    servers, topics = deployment.config.kafka.bootstrap_servers, deployment.config.topics
    await deployment.create_topics(2)
    await let_any_time_in(servers, topics.raw)
    for way, partition in WAYS.items():
        await produce(servers, topics.raw, way, partition)
    deployment.worker("only").start()
    await deployment.caught_up()
    events = 2 * len(WAYS) * len(TIMES_MS)

    async def all_are_enriched() -> bool:
        found = await read_all(servers, topics.enriched)
        return sum(map(len, found.values())) >= events

    await eventually(all_are_enriched, what="what was sent on has been enriched, too")
    enriched, letters, raw = [
        [record for partition in (await read_all(servers, topic)).values() for record in partition]
        for topic in (topics.enriched, topics.dead_letters, topics.raw)
    ]
    for record in (*enriched, *letters):
        received_at = json.loads(record.value).get("received_at")
        assert received_at is None or record.timestamp == received_at
    return [one.value for one in enriched], [one.value for one in letters], [one.timestamp for one in raw]
