"""``sessionizer collect --processes``: several processes on one address, under one command."""

import asyncio
import os
import signal
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from testing.collector_process import CollectorProcess
from testing.wait import wait_until
from tests.chaos.deployment import Deployment, gone
from tests.integration.collector_clients import (
    KEY,
    PATIENCE_S,
    Senders,
    ask,
    event,
    made,
    post,
    stored,
    write_keys,
)

SENDERS = 12


@pytest.fixture
def two(
    deployment: Deployment, collectors: list[CollectorProcess], keys_file: Path, tmp_path: Path
) -> CollectorProcess:
    """A collector of two processes, started and ready."""
    asyncio.run(deployment.create_topics(4))
    one = made(collectors, deployment.environment, keys_file, tmp_path, "--processes", "2")
    one.start_and_wait()
    asyncio.run(one.wait_for("collect.started", 2))
    return one


def answered_by(collector: CollectorProcess, slot: int) -> int:
    """How many requests the process of that slot has answered 200, by its own figures."""
    status, metrics = ask(collector.admin_port + slot, "GET", "/metrics")
    assert (status, type(metrics)) == (200, str)
    name = 'sessionizer_collect_requests_total{status="200"} '
    return int(
        sum(float(line.removeprefix(name)) for line in str(metrics).splitlines() if line.startswith(name))
    )


def pid_of(collector: CollectorProcess, slot: int) -> int:
    return int([line["pid"] for line in collector.log("process.started") if line["slot"] == slot][-1])


def test_both_serve_one_address_and_each_has_figures_of_its_own(two: CollectorProcess) -> None:
    answered = 0

    def both_answer() -> bool:
        """Each request comes on a connection of its own, which either process may accept."""
        nonlocal answered
        answered += post(two.port, event("1")) == 200
        return min(answered_by(two, slot) for slot in (0, 1)) > 0

    wait_until(both_answer, what="both answer", timeout_s=PATIENCE_S)
    assert answered_by(two, 0) + answered_by(two, 1) == answered
    started = {(line["slot"], line["listen"], line["admin_listen"]) for line in two.log("collect.started")}
    assert started == {
        (slot, f"127.0.0.1:{two.port}", f"127.0.0.1:{two.admin_port + slot}") for slot in (0, 1)
    }
    assert asyncio.run(two.stop(timeout_s=PATIENCE_S)) == 0


def test_sigterm_under_load_cuts_nobody_off(two: CollectorProcess, deployment: Deployment) -> None:
    senders = Senders(two.port)
    senders.start(SENDERS)
    wait_until(lambda: senders.total() > 200, what="the load is there", timeout_s=PATIENCE_S)
    processes = psutil.Process(two.pid).children()
    assert asyncio.run(two.stop(timeout_s=PATIENCE_S)) == 0
    senders.join()
    assert senders.broken == []
    assert set(senders.answered[200]) <= set(stored(deployment))
    assert sorted(line["slot"] for line in two.log("collect.stopped")) == [0, 1]
    assert gone(processes)


def test_one_that_dies_is_started_again_and_only_its_own_requests_break(
    two: CollectorProcess, deployment: Deployment
) -> None:
    senders = Senders(two.port)
    senders.start(SENDERS)
    wait_until(lambda: senders.total() > 100, what="the load is there", timeout_s=PATIENCE_S)
    os.kill(pid_of(two, 1), signal.SIGKILL)
    asyncio.run(two.wait_for("collect.started", 3))
    wait_until(
        lambda: post(two.port, event("new")) == 200 and answered_by(two, 1) > 0,
        what="the new one answers",
        timeout_s=PATIENCE_S,
    )
    assert asyncio.run(two.stop(timeout_s=PATIENCE_S)) == 0
    senders.join()
    assert len(senders.broken) <= SENDERS  # one request each at most: none that waited was lost
    assert set(senders.answered[200]) <= set(stored(deployment))
    (exited,) = two.log("process.exited")
    assert (exited["slot"], exited["exit_code"]) == (1, -signal.SIGKILL)


def test_sighup_reaches_both(two: CollectorProcess, keys_file: Path) -> None:
    write_keys(keys_file, servers=KEY, pages="wk_that_came_afterwards")
    two.signal(signal.SIGHUP)
    wait_until(
        lambda: {line["slot"] for line in two.log("collect.keys_loaded") if line["enabled"] == 2} == {0, 1},
        what="both have read the keys",
        timeout_s=PATIENCE_S,
    )
    assert post(two.port, event("1")) == 200
    assert two.running


def test_no_process_outlives_the_command(two: CollectorProcess) -> None:
    processes = psutil.Process(two.pid).children()
    assert len(processes) == 2
    two.kill()
    wait_until(lambda: gone(processes), what="they have ended", timeout_s=PATIENCE_S)


def test_what_is_wrong_with_all_is_one_line(
    deployment: Deployment,
    collectors: list[CollectorProcess],
    keys_file: Path,
    tmp_path: Path,
    two: CollectorProcess,
) -> None:
    other = made(collectors, deployment.environment, keys_file, tmp_path, "--processes", "2")
    other._environment["SESSIONIZER_COLLECT_LISTEN"] = f"127.0.0.1:{two.port}"
    other.start()
    assert asyncio.run(other.ended(timeout_s=PATIENCE_S)) == 1
    (line,) = other.log()
    assert line["event"] == "collect.failed"
    assert "another process listens there already" in line["reason"]
