"""A worker whose page views have another name than its configuration expects says so in its log."""

import asyncio
import json
from pathlib import Path

from tests.chaos.deployment import Deployment
from tests.conftest import Kafka
from worker.demo.traffic import make_traffic

ONLY_PAGEVIEWS = json.dumps({"*": "passive", "pageview": "normal"})


def test_most_events_in_no_session_are_one_warning_for_all_partitions(
    kafka: Kafka, topic_prefix: str, tmp_path: Path
) -> None:
    async def scenario(deployment: Deployment) -> None:
        await deployment.create_topics(4)
        worker = deployment.worker("only")
        worker.start()
        await worker.wait_for("partition.initialized", 4)
        # Of no partition a thousand events: they are looked at together.
        await deployment.feed(make_traffic(1_600, seed=1, now_ms=1_760_000_000_000).records)
        await worker.wait_for("events.without_session")
        (warning,) = worker.log("events.without_session")
        assert warning["events"] >= 1_000
        assert warning["without_session"] > warning["events"] / 2
        assert len(warning["types"]) == 5
        assert "page_view" in warning["types"]
        counted = sum(status["events_without_session"] for status in worker.log("worker.status"))
        assert counted >= warning["without_session"]
        assert await worker.stop() == 0

    options = {"SESSION_EVENT_TYPES": ONLY_PAGEVIEWS}
    with Deployment(kafka.bootstrap_servers, topic_prefix, tmp_path, options) as deployment:
        asyncio.run(scenario(deployment))
