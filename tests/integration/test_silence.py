"""Brokers that drop the ids of producers that are silent for some seconds, in place of a week."""

import asyncio
from pathlib import Path

from testing.kafka.broker import LocalBroker
from tests.chaos.deployment import Deployment
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000
SHORT_EXPIRY = {
    "transactional.id.expiration.ms": 3_000,
    "transaction.remove.expired.transaction.cleanup.interval.ms": 500,
    "producer.id.expiration.ms": 3_000,
    "producer.id.expiration.check.interval.ms": 500,
}


def test_the_first_commit_after_a_long_silence_simply_succeeds(kafka_jars: Path, tmp_path: Path) -> None:
    async def scenario(deployment: Deployment) -> None:
        await deployment.create_topics(1)
        worker = deployment.worker("quiet")
        worker.start(module="tests.integration.short_silence_worker")
        await worker.wait_for("partition.initialized")
        await deployment.feed(make_traffic(100, seed=1, now_ms=NOW_MS).records)
        await deployment.caught_up()
        lines = len(worker.log("worker.status"))
        await worker.wait_for("worker.status", lines + 8)  # one a second: longer than brokers remember
        idle = worker.log("worker.status")[lines + 2 :]
        assert {line["events_per_s"] for line in idle} == {0.0}
        assert idle[-1]["transactions_total"] > idle[0]["transactions_total"]
        await deployment.feed(make_traffic(100, seed=2, now_ms=NOW_MS).records)
        await deployment.caught_up()
        assert await worker.stop() == 0
        assert worker.log("transaction.lost") == []
        assert "InvalidProducerIdMapping" not in worker.raw_log()

    with (
        LocalBroker(kafka_jars, tmp_path / "broker", settings=SHORT_EXPIRY) as broker,
        Deployment(broker.bootstrap_servers, "silence.", tmp_path) as deployment,
    ):
        asyncio.run(scenario(deployment))
