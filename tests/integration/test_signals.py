"""What signals do to a worker and to several: each that can be handled leaves a line."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.wait import eventually
from testing.worker_process import WorkerProcess
from tests.chaos.deployment import Deployment

NOBODY = "127.0.0.1:1"
ONE, TWO = (), ("--processes", "2")


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Deployment]:
    """Workers that wait for their brokers."""
    with Deployment(NOBODY, "signals.", tmp_path) as deployment:
        yield deployment


def logged(worker: WorkerProcess) -> list[tuple[int | None, str, str]]:
    """Slot, signal and what followed, in order."""
    return [(line.get("slot"), line["signal"], line["action"]) for line in worker.log("signal.received")]


@pytest.mark.parametrize("arguments", [ONE, TWO], ids=["one process", "several"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGALRM])
def test_a_signal_that_would_kill_stops_in_order(
    number: signal.Signals, arguments: tuple[str, ...], waiting: Deployment
) -> None:
    async def scenario() -> None:
        worker = waiting.worker("only", arguments=arguments)
        worker.start()
        await worker.wait_for("request.failed", 1 if arguments == ONE else 2)
        worker.signal(number)
        assert await worker.ended() == 0
        assert (None, number.name, "stop") in logged(worker)

    asyncio.run(scenario())


@pytest.mark.parametrize("arguments", [ONE, TWO], ids=["one process", "several"])
def test_stacks_are_written_when_asked_for_and_the_work_goes_on(
    arguments: tuple[str, ...], waiting: Deployment
) -> None:
    async def scenario() -> None:
        worker = waiting.worker("only", arguments=arguments)
        worker.start()
        slots = [None] if arguments == ONE else [None, 0, 1]
        await worker.wait_for("request.failed", max(1, len(slots) - 1))
        worker.signal(signal.SIGUSR1)

        async def dumped() -> bool:
            return {(slot, "SIGUSR1", "dump") for slot in slots} <= set(logged(worker))

        await eventually(dumped, what="every process says that it wrote its stacks")
        assert worker.raw_log().count("(most recent call first)") >= len(slots)
        worker.signal(signal.SIGUSR2)

        async def ignored() -> bool:
            return (None, "SIGUSR2", "ignored") in logged(worker)

        await eventually(ignored, what="it says that the signal means nothing")
        assert worker.running
        assert await worker.stop() == 0

    asyncio.run(scenario())


def test_what_was_started_by_nohup_ignores_that_the_terminal_closes(waiting: Deployment) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        worker = waiting.worker("only")
        worker.start()
    finally:
        signal.signal(signal.SIGHUP, before)

    async def scenario() -> None:
        await worker.wait_for("request.failed")
        os.kill(worker.pid, signal.SIGHUP)
        os.kill(worker.pid, signal.SIGUSR2)
        await worker.wait_for("signal.received")
        assert logged(worker) == [(None, "SIGUSR2", "ignored")]
        assert await worker.stop() == 0

    asyncio.run(scenario())
