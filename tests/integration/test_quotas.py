"""Brokers that let only so many bytes a second through: what is too much for a transaction's time shrinks."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from testing.kafka.broker import LocalBroker
from testing.kafka.quotas import set_quotas
from tests.chaos.deployment import Deployment
from tests.chaos.topics import read_all
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000
EVENTS = 2_500
BYTES_PER_S = 150_000
OPTIONS = {"KAFKA_TRANSACTION_TIMEOUT_MS": "4000", "KAFKA_COMPRESSION": "none"}
"""Two seconds for a transaction."""


@pytest.fixture
def deployment(kafka_jars: Path, tmp_path: Path) -> Iterator[Deployment]:
    """On a broker that throttles from the second second on, instead of from the eleventh."""
    with (
        LocalBroker(kafka_jars, tmp_path / "broker", settings={"quota.window.num": 2}) as broker,
        Deployment(broker.bootstrap_servers, "slow.", tmp_path, OPTIONS) as running,
    ):
        yield running


def test_a_backlog_gets_through_a_produce_quota_once(deployment: Deployment) -> None:
    servers, topic = deployment.config.kafka.bootstrap_servers, deployment.config.topics.enriched
    worker = deployment.worker("throttled")

    async def scenario() -> Counter[str]:
        await deployment.create_topics(1)
        await deployment.feed(make_traffic(EVENTS, seed=1, now_ms=NOW_MS).records)
        await set_quotas(servers, "ANONYMOUS", {"producer_byte_rate": BYTES_PER_S})
        worker.start()
        await deployment.caught_up(timeout_s=240)
        assert await worker.stop() == 0
        found: Counter[str] = Counter()
        for records in (await read_all(servers, topic)).values():
            found.update(str(msgspec.json.decode(record.value or b"")["id"]) for record in records)
        return found

    found = asyncio.run(scenario())
    assert found
    assert set(found.values()) == {1}
    lost = worker.log("transaction.lost")
    assert "half of kafka.transaction_timeout_ms" in lost[0]["reason"]
    assert not worker.log("partition.stuck")
