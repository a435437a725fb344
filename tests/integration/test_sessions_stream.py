"""The streams of sessions and identities on a real broker: what closes, when, and in one transaction."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from msgspec import json

from testing.wait import eventually
from testing.worker_process import WorkerProcess
from tests.builders import RawEvent, click
from tests.chaos.deployment import Deployment
from tests.chaos.promises import check_promises
from tests.chaos.topics import read_all
from tests.conftest import Kafka
from worker.demo.traffic import RawRecord

GAP_MS, GRACE_MS = 2_000, 1_000
IN_TIME_S = 2.0
"""How long after gap and grace a session of a stream that has stopped may still be open."""


@pytest.fixture
def deployment(kafka: Kafka, topic_prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    options = {
        "SESSION_GAP_MS": str(GAP_MS),
        "SESSION_GRACE_MS": str(GRACE_MS),
        "SESSION_MAX_FUTURE_MS": str(GRACE_MS),
    }
    with Deployment(kafka.bootstrap_servers, topic_prefix, tmp_path, options) as running:
        yield running


def raw(*events: RawEvent) -> RawRecord:
    """One batch of one device, that came in when its last event happened."""
    received_at = max(event["timestamp"] for event in events)
    return RawRecord(
        key=events[0]["device_id"].encode(), value=json.encode(list(events)), timestamp_ms=received_at
    )


async def upserts(deployment: Deployment, device_id: str = "d1") -> list[dict[str, Any]]:
    """The records of the device's sessions so far."""
    topic = await read_all(deployment.config.kafka.bootstrap_servers, deployment.config.topics.sessions)
    rows = [json.decode(record.value) for records in topic.values() for record in records]
    return [row for row in rows if row["device_id"] == device_id]


async def statuses(deployment: Deployment, *expected: str, timeout_s: float = 30.0) -> list[dict[str, Any]]:
    """Wait until the device's sessions have been published so, in this order."""
    rows: list[dict[str, Any]] = []

    async def published() -> bool:
        rows[:] = await upserts(deployment)
        return [row["status"] for row in rows] == list(expected)

    try:
        await eventually(published, what=f"published as {expected}", timeout_s=timeout_s)
    except TimeoutError:
        assert [row["status"] for row in rows] == list(expected), rows
    return rows


async def started(deployment: Deployment) -> WorkerProcess:
    """A worker on one partition."""
    await deployment.create_topics(1)
    worker = deployment.worker("only")
    worker.start()
    await worker.wait_for("partition.initialized")
    return worker


def test_the_sessions_of_a_stream_that_stops_are_closed_in_time(deployment: Deployment) -> None:
    async def scenario() -> None:
        await started(deployment)
        now_ms = time.time_ns() // 1_000_000
        await deployment.feed([raw(click("d1", now_ms - 500, id="a"), click("d1", now_ms, id="b"))])
        opened, closed = await statuses(deployment, "open", "closed")
        late_s = time.time() - (now_ms + GAP_MS + GRACE_MS) / 1000
        assert 0 <= late_s < IN_TIME_S
        assert (opened["revision"], closed["revision"]) == (1, 2)
        assert (opened["event_count"], closed["event_count"]) == (1, 2)
        assert closed["close_reason"] == "inactivity"

    asyncio.run(scenario())


def test_a_late_event_opens_it_again_with_the_next_revision(deployment: Deployment) -> None:
    async def scenario() -> None:
        await started(deployment)
        hour_ago_ms = time.time_ns() // 1_000_000 - 3_600_000
        await deployment.feed([raw(click("d1", hour_ago_ms))])
        await statuses(deployment, "open", "closed")
        await deployment.feed([raw(click("d1", hour_ago_ms + 1_000))])
        rows = await statuses(deployment, "open", "closed", "open", "closed")
        assert [row["revision"] for row in rows] == [1, 2, 3, 4]
        assert len({row["session_id"] for row in rows}) == 1
        assert rows[-1]["end"] == hour_ago_ms + 1_000

    asyncio.run(scenario())


def test_a_partition_that_lags_is_not_closed_by_the_clock(deployment: Deployment) -> None:
    """Old events, each a little after the one before: the clock would close the session after every one."""

    async def scenario() -> None:
        await deployment.create_topics(1)
        day_ago_ms = time.time_ns() // 1_000_000 - 86_400_000
        records = [raw(click("d1", day_ago_ms + number * 10, id=str(number))) for number in range(60_000)]
        await deployment.feed(records)
        deployment.worker("only").start()
        _, closed = await statuses(deployment, "open", "closed", timeout_s=60)
        assert closed["event_count"] == len(records)
        assert closed["revision"] == 2

    asyncio.run(scenario())


def test_a_merge_publishes_both_sessions_in_one_transaction(deployment: Deployment) -> None:
    async def scenario() -> None:
        await started(deployment)
        at_ms = time.time_ns() // 1_000_000 - 3_600_000
        await deployment.feed([raw(click("d1", at_ms)), raw(click("d1", at_ms + 3_000))])
        rows = await statuses(deployment, "open", "open", "closed", "closed")
        first, second = rows[0]["session_id"], rows[1]["session_id"]
        await deployment.feed([raw(click("d1", at_ms + 1_500))])
        await statuses(deployment, "open", "open", "closed", "closed", "merged", "open", "closed")
        servers, topic = deployment.config.kafka.bootstrap_servers, deployment.config.topics.sessions
        gone, survivor = (await read_all(servers, topic))[0][4:6]
        assert survivor.offset == gone.offset + 1  # a transaction's marker would stand between two
        assert json.decode(gone.value)["session_id"] == second
        assert json.decode(gone.value)["merged_into"] == first
        assert json.decode(survivor.value)["session_id"] == first
        assert json.decode(survivor.value)["event_count"] == 3

    asyncio.run(scenario())


def test_a_login_is_published_with_the_sessions_that_it_reaches(deployment: Deployment) -> None:
    async def scenario() -> None:
        await started(deployment)
        at_ms = time.time_ns() // 1_000_000 - 3_600_000
        await deployment.feed([raw(click("d1", at_ms))])
        (_, anonymous) = await statuses(deployment, "open", "closed")
        await deployment.feed([raw(click("d1", at_ms + 60_000, id="login", user="ann"))])
        rows = await statuses(deployment, "open", "closed", "open", "closed", "closed")
        assert "user_id" not in anonymous
        assert {row["session_id"]: row.get("user_id") for row in rows} == {
            rows[0]["session_id"]: "ann",
            rows[2]["session_id"]: "ann",
        }
        servers, topic = deployment.config.kafka.bootstrap_servers, deployment.config.topics.identities
        (identity,) = (await read_all(servers, topic))[0]
        published = json.decode(identity.value)
        assert identity.key == b"d1"
        assert (published["user_id"], published["event_id"]) == ("ann", "login")
        assert published["sessions"] == [anonymous["session_id"]]

    asyncio.run(scenario())


def test_workers_killed_while_sessions_close_leave_the_same_last_records(deployment: Deployment) -> None:
    async def scenario() -> None:
        worker = await started(deployment)
        day_ago_ms = time.time_ns() // 1_000_000 - 86_400_000
        records = [
            raw(click(f"d{device}", day_ago_ms + visit * 60_000 + device, user="ann" if visit else None))
            for visit in range(3)
            for device in range(3_000)
        ]
        for start in range(0, len(records), 2_000):
            await deployment.feed(records[start : start + 2_000])
            await some_more_closed(deployment)
            worker.kill()
            worker.start()
        await deployment.caught_up()
        verdict = await check_promises(deployment.config)
        assert verdict.broken == []
        assert verdict.sessions == 9_000

    asyncio.run(scenario())


async def some_more_closed(deployment: Deployment) -> None:
    """Wait until the topic of sessions has grown and the worker is in the midst of it."""
    consumer = AIOKafkaConsumer(
        deployment.config.topics.sessions,
        bootstrap_servers=deployment.config.kafka.bootstrap_servers,
        auto_offset_reset="latest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        record: ConsumerRecord = await asyncio.wait_for(consumer.getone(), timeout=20)
        assert record.value is not None
    finally:
        await consumer.stop()
