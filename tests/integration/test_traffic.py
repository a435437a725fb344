"""deploy/traffic.py fills a raw topic with the demo's visitors."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.conftest import Kafka
from tests.contract.cluster import make_topics

SCRIPT = Path(__file__).parents[2] / "deploy" / "traffic.py"


async def values_in(bootstrap_servers: str, topic: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                values += [record.value for record in records]
        return values
    finally:
        await consumer.stop()


def events_in(value: bytes) -> int:
    """A batch has its elements, anything else is one event, be it a broken one."""
    try:
        batch = json.loads(value)
    except ValueError:
        return 1
    return len(batch) if isinstance(batch, list) else 1


def test_a_round_sends_the_events_it_was_asked_for_and_ends(kafka: Kafka, topic_prefix: str) -> None:
    topic = topic_prefix + "raw"
    asyncio.run(make_topics(kafka.bootstrap_servers, topic))
    arguments = ["--events", "500", "--minutes", "0.03", "--rounds", "1", "--topic", topic]
    command = [sys.executable, str(SCRIPT), "--bootstrap-servers", kafka.bootstrap_servers, *arguments]
    subprocess.run(command, check=True, timeout=60)

    assert sum(map(events_in, asyncio.run(values_in(kafka.bootstrap_servers, topic)))) == 500
