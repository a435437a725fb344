"""A machine whose wall clock is a day ahead of the brokers'."""

import asyncio
import itertools
import json
import time

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from testing.wait import eventually
from tests.chaos.deployment import Deployment
from worker.demo.topics import reading
from worker.demo.traffic import RawRecord


def batch(device: str, number: int) -> RawRecord:
    """An event of now."""
    now_ms = time.time_ns() // 1_000_000
    event = {"id": f"{device}-{number}", "type": "pageview", "device_id": device, "timestamp": now_ms}
    return RawRecord(key=device.encode(), value=json.dumps([event]).encode(), timestamp_ms=now_ms)


async def _create_raw(deployment: Deployment) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=deployment.config.kafka.bootstrap_servers)
    await client.start()
    try:
        settings = {"message.timestamp.type": "LogAppendTime"}
        raw = NewTopic(deployment.config.topics.raw, 1, 1, topic_configs=settings)
        await client.create_topics([raw])
    finally:
        await client.close()


def test_open_sessions_stay_open_and_the_log_says_how_far_the_clock_is_off(deployment: Deployment) -> None:
    async def scenario() -> None:
        await _create_raw(deployment)
        await deployment.create_topics(1)
        worker = deployment.worker("ahead")
        worker.start(module="tests.integration.skewed_clock_worker")
        await worker.wait_for("partition.initialized")
        numbers = itertools.count()

        async def skew_is_logged() -> bool:
            await deployment.feed([batch("first", next(numbers))])
            await deployment.caught_up()
            return bool(worker.log("clock.skew"))

        await eventually(skew_is_logged, what="a record that arrives while the worker waits shows the time")
        await deployment.feed([batch("second", number) for number in range(3)])
        await deployment.caught_up()
        written = len(worker.log("worker.status"))
        await worker.wait_for("worker.status", written + 3)  # it has looked at the time again and again
        (skew,) = worker.log("clock.skew")
        assert skew["against"] == "brokers"
        assert abs(skew["skew_s"] - 86_400) < 30
        assert await worker.stop() == 0
        topic = deployment.config.topics.sessions
        servers = deployment.config.kafka.bootstrap_servers
        async with reading({"bootstrap_servers": servers}, (topic,), check_checksums=True) as reader:
            await reader.read_to_end()
        of_second = [r.value or b"" for r in reader.records[topic] if (r.key or b"").startswith(b"second")]
        assert of_second
        assert not any(b'"status":"closed"' in value for value in of_second)

    asyncio.run(scenario())
