"""A worker that is started before its brokers, as a whole machine that boots does it."""

import asyncio
from pathlib import Path

from testing.kafka.broker import LocalBroker
from tests.chaos.deployment import Deployment


def test_a_worker_waits_for_brokers_that_are_away(local_broker: LocalBroker, tmp_path: Path) -> None:
    with Deployment(local_broker.bootstrap_servers, "late.", tmp_path) as deployment:

        async def scenario() -> None:
            await deployment.create_topics(1)
            local_broker.stop()
            worker = deployment.worker("early")
            worker.start()
            await worker.wait_for("request.failed")
            local_broker.start()
            await worker.wait_for("partition.initialized")
            assert await worker.stop() == 0

        asyncio.run(scenario())


def test_a_worker_that_is_stopped_meanwhile_stops(local_broker: LocalBroker, tmp_path: Path) -> None:
    local_broker.stop()
    with Deployment(local_broker.bootstrap_servers, "late.", tmp_path) as deployment:

        async def scenario() -> None:
            worker = deployment.worker("early")
            worker.start()
            await worker.wait_for("request.failed")
            assert await worker.stop() == 0

        asyncio.run(scenario())
