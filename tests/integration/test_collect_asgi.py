"""The HTTPS API in other servers: ``worker.asgi:app``, configured by the environment."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.child_process import end_with_parent
from testing.kafka.broker import free_ports
from testing.wait import wait_until
from tests.chaos.deployment import Deployment
from tests.integration.collector_clients import PATIENCE_S, ask, event, post, stored
from worker.asgi import CollectorApp


@contextmanager
def served(environment: Mapping[str, str], log: Path) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """uvicorn as its own command, on a port of this test; the process has ended when the block has."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "worker.asgi:app", "--port", str(port), "--lifespan", "on"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=end_with_parent(),
        )
    try:
        yield port, process
    finally:
        process.kill()
        process.wait()


def is_ready(port: int) -> bool:
    try:
        return ask(port, "GET", "/readyz")[0] == 200
    except OSError:
        return False


def test_another_server_serves_the_same_application(
    deployment: Deployment, keys_file: Path, tmp_path: Path
) -> None:
    asyncio.run(deployment.create_topics(2))
    environment = {**deployment.environment, "SESSIONIZER_COLLECT_KEYS_FILE": str(keys_file)}
    log = tmp_path / "server.log"
    with served(environment, log) as (port, process):
        wait_until(lambda: is_ready(port), what="it is ready", timeout_s=PATIENCE_S)
        assert post(port, event("1")) == 200
        assert ask(port, "POST", "/v1/events", "[")[0] == 400
        assert ask(port, "POST", "/v1/events", "x" * 1_000_001)[0] == 413
        process.terminate()
        process.wait(PATIENCE_S)
    assert stored(deployment) == ["1"]
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines][-1] == "collect.stopped"


def test_a_wrong_configuration_fails_the_start_with_its_lines(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with served({"SESSIONIZER_COLLECT_LISTEN": "nowhere"}, log) as (_, process):
        assert process.wait(PATIENCE_S) != 0
    assert 'SESSIONIZER_COLLECT_LISTEN = "nowhere": expected host:port' in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_topic_that_is_missing_is_logged_and_nothing_is_accepted(
    deployment: Deployment, keys_file: Path, tmp_path: Path
) -> None:
    environment = {**deployment.environment, "SESSIONIZER_COLLECT_KEYS_FILE": str(keys_file)}
    log = tmp_path / "server.log"
    with served(environment, log) as (port, _):
        wait_until(lambda: b"collect.failed" in log.read_bytes(), what="it is logged", timeout_s=PATIENCE_S)
        assert ask(port, "GET", "/readyz")[0] == 503
        assert post(port, event("1")) == 503


def test_a_server_without_lifespan_is_named_as_the_fault() -> None:
    async def scenario() -> None:
        with pytest.raises(RuntimeError, match="must send lifespan events"):
            await CollectorApp()({"type": "http"}, None, None)

    asyncio.run(scenario())
