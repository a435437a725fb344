"""The health file of a real worker: it is there as long as the worker runs, and the probe reads it."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

from testing.wait import eventually
from testing.worker_process import WorkerProcess
from tests.chaos.deployment import Deployment
from tests.conftest import Kafka
from worker.demo.traffic import make_traffic


def probe(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What a container's health check runs."""
    return subprocess.run(
        [sys.executable, "-m", "worker", "health"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_worker_touches_its_file_while_it_works_and_removes_it_when_it_ends(
    kafka: Kafka, topic_prefix: str, tmp_path: Path
) -> None:
    file = tmp_path / "health"

    async def scenario(deployment: Deployment) -> None:
        await deployment.create_topics(2)
        worker = deployment.worker("only")
        assert probe(deployment.environment).returncode == 1
        worker.start()
        await worker.wait_for("partition.initialized", 2)
        first = file.stat().st_mtime_ns
        await deployment.feed(make_traffic(2_000, seed=1, now_ms=1_760_000_000_000).records)

        async def touched_again() -> bool:
            return file.stat().st_mtime_ns > first

        await eventually(touched_again, what="the file is touched again")
        assert probe(deployment.environment).returncode == 0

        async def all_counted() -> bool:
            return bool(worker.log("worker.status")[-1]["events_total"] == 2_000)

        await eventually(all_counted, what="the totals are those of all events")
        status = worker.log("worker.status")[-1]
        assert status["records_total"] >= status["transactions_total"] > 0
        assert status["uptime_s"] > 0
        assert any(line["latency_p99_ms"] is not None for line in worker.log("worker.status"))
        state = [deployment.directory / "only", *(deployment.directory / "only").rglob("*")]
        assert len(state) > 5
        assert [path for path in state if path.stat().st_mode & 0o077] == [], "others may read the state"
        assert {line["instance"] for line in worker.log()} == {f"{socket.gethostname()}:{worker.pid}"}
        assert await worker.stop() == 0
        assert not file.exists()
        assert worker.log("partition.stuck") == []

    with Deployment(
        kafka.bootstrap_servers, topic_prefix, tmp_path, {"HEALTH_FILE": str(file)}
    ) as deployment:
        asyncio.run(scenario(deployment))


def test_a_worker_whose_health_file_cannot_be_written_says_so_and_ends_with_1(
    kafka: Kafka, topic_prefix: str, tmp_path: Path
) -> None:
    file = tmp_path / "not there" / "health"

    async def scenario(deployment: Deployment) -> WorkerProcess:
        await deployment.create_topics(1)
        worker = deployment.worker("only")
        worker.start()
        assert await worker.ended() == 1
        return worker

    with Deployment(
        kafka.bootstrap_servers, topic_prefix, tmp_path, {"HEALTH_FILE": str(file)}
    ) as deployment:
        (failed,) = asyncio.run(scenario(deployment)).log("worker.failed")
    assert failed["reason"] == f"health.file: {file} cannot be written: No such file or directory"


def test_an_unexpected_error_in_the_health_report_ends_the_worker_in_order_with_its_reason(
    kafka: Kafka, topic_prefix: str, tmp_path: Path
) -> None:
    file = tmp_path / "health"

    async def scenario(deployment: Deployment) -> WorkerProcess:
        await deployment.create_topics(1)
        worker = deployment.worker("only")
        worker.start(module="tests.integration.failing_health_worker")
        assert await worker.ended() == 1
        return worker

    with Deployment(
        kafka.bootstrap_servers, topic_prefix, tmp_path, {"HEALTH_FILE": str(file)}
    ) as deployment:
        worker = asyncio.run(scenario(deployment))
    (failed,) = worker.log("worker.failed")
    assert failed["reason"].startswith("unexpected ZeroDivisionError")
    assert len(worker.log("partition.revoked")) == 1, "it stopped in order"
    assert not file.exists()
