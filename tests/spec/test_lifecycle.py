"""What runs beside a process's main coroutine, and how a failure of either ends the process."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from worker import log_output
from worker.errors import Fatal
from worker.lifecycle import exit_code, in_background

pytestmark = pytest.mark.usefixtures("restored_logging")


async def fail_after_a_while() -> None:
    await asyncio.sleep(0.01)
    raise KeyError("device-7")


def main_beside(
    *coroutines: Callable[[], Coroutine[Any, Any, None]], error: Exception | None = None
) -> Callable[[], Coroutine[Any, Any, int]]:
    """A main coroutine that waits to be stopped while the others run, and then raises the error, if any."""

    async def main() -> int:
        stop = asyncio.Event()
        async with in_background(stop, *(coroutine() for coroutine in coroutines)):
            await stop.wait()
            if error is not None:
                raise error
        return 0

    return main


def test_a_failure_in_the_background_stops_the_process_with_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_output.configure("json", "info")
    with pytest.raises(KeyError):
        exit_code(main_beside(fail_after_a_while))
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["event"], line["reason"][:19]) == ("worker.failed", "unexpected KeyError")
    assert "device-7" not in line["reason"]


def test_the_main_coroutines_own_failure_is_the_one_that_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_output.configure("json", "info")
    assert exit_code(main_beside(fail_after_a_while, error=Fatal("no such topic"))) == 1
    assert [json.loads(line)["reason"] for line in capsys.readouterr().out.splitlines()] == ["no such topic"]


def test_what_runs_in_the_background_ends_with_the_block() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    async def main() -> int:
        stop = asyncio.Event()
        async with in_background(stop, work(), asyncio.sleep(0)):
            await asyncio.sleep(0.01)
            assert not stop.is_set()  # one of them has ended, and none has failed
        assert ended == ["work"]
        return 3

    assert exit_code(main) == 3


def test_the_first_cause_is_named_where_closing_fails_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> int:
        try:
            raise ValueError("of a device")
        finally:
            raise OSError("closing")

    log_output.configure("json", "info")
    with pytest.raises(OSError, match="closing"):
        exit_code(main)

    line = json.loads(capsys.readouterr().out)
    assert line["reason"].startswith("unexpected OSError after ValueError, a bug")
