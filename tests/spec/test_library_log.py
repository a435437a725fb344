"""What libraries log reaches the log once a minute and cause, and nothing is lost uncounted."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from testing.wait import eventually
from worker import library_log, telemetry
from worker.library_log import LibraryLog
from worker.telemetry import LibraryWarning


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[LibraryWarning]:
    events: list[LibraryWarning] = []
    monkeypatch.setattr(telemetry, "emit", events.append)
    return events


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def library(clock: Clock) -> Iterator[logging.Logger]:
    logger = logging.getLogger("library.of.the.tests")
    handler = LibraryLog(clock)
    logger.addHandler(handler)
    logger.propagate = False
    yield logger
    logger.removeHandler(handler)


def test_ninety_seconds_of_seventy_lines_a_second_are_two(
    library: logging.Logger, clock: Clock, written: list[LibraryWarning]
) -> None:
    for number in range(90 * 70):
        clock.now_s = number / 70
        library.error("Unable connect to node with id %s: %s", number % 3, f"('127.0.0.1', {number})")
    assert [line.suppressed for line in written] == [0, 60 * 70 - 1]
    assert written[0].message == "Unable connect to node with id 0: ('127.0.0.1', 0)"


def test_what_is_different_is_written_at_once(library: logging.Logger, written: list[LibraryWarning]) -> None:
    library.error("Unable connect to node with id %s: %s", 1, "refused")
    library.error("Unable connect to node with id %s: %s", 1, "certificate has expired")
    library.warning("Heartbeat failed")
    assert [line.suppressed for line in written] == [0, 0, 0]


def test_the_end_of_a_flood_is_counted_too(
    monkeypatch: pytest.MonkeyPatch, written: list[LibraryWarning]
) -> None:
    monkeypatch.setattr(library_log, "_INTERVAL_S", 0.05)
    handler = LibraryLog()

    async def scenario() -> None:
        for number in range(10):
            handler.handle(logging.LogRecord("aiokafka", logging.ERROR, "", 0, "line %d", (number,), None))

        async def end_is_written() -> bool:
            return len(written) == 2

        await eventually(end_is_written, what="the end of the flood is written")

    asyncio.run(scenario())
    assert [(line.message, line.suppressed) for line in written] == [("line 0", 0), ("line 9", 8)]


def test_a_line_that_is_written_later_says_how_long_ago_it_was_logged(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, written: list[LibraryWarning]
) -> None:
    monkeypatch.setattr(library_log, "_INTERVAL_S", 0.05)
    handler = LibraryLog(clock)

    async def scenario() -> None:
        for _ in range(2):
            handler.handle(logging.LogRecord("aiokafka", logging.ERROR, "", 0, "refused", (), None))
        clock.now_s = 55.04

        async def reported() -> bool:
            return len(written) == 2

        await eventually(reported, what="the line that was passed over is written")

    asyncio.run(scenario())
    assert [line.age_s for line in written] == [0.0, 55.0]


def test_memory_is_bounded_and_what_does_not_fit_is_one_cause(
    library: logging.Logger, clock: Clock, written: list[LibraryWarning]
) -> None:
    words = [f"{chr(97 + a)}{chr(97 + b)}" for a in range(26) for b in range(26)]
    for word in words:
        library.error(word)
    assert len(written) == 201
    clock.now_s = 61.0
    library.error("another")
    assert written[-1] == LibraryWarning(
        logger=library.name, message="another", suppressed=0, age_s=0.0, traceback=[]
    ), "those that are over make room"


def test_of_a_task_that_failed_no_argument_is_shown(written: list[LibraryWarning]) -> None:
    """asyncio shows the task, with its exception: here with a device's record."""
    handler = LibraryLog()
    error = UnicodeDecodeError("utf-8", b"device of a person", 0, 1, "invalid start byte")
    message = f"Task exception was never retrieved\nfuture: <Task finished exception={error!r}>"
    try:
        raise error
    except UnicodeDecodeError as raised:
        info = type(raised), raised, raised.__traceback__
    handler.handle(logging.LogRecord("asyncio", logging.ERROR, "", 0, message, (), info))
    (line,) = written
    assert line.message.startswith("Task exception was never retrieved: UnicodeDecodeError: 'utf-8' codec")
    assert "person" not in line.message
    assert line.traceback[-1].startswith("spec/test_library_log.py:")


def test_a_line_whose_arguments_do_not_fit_is_written_all_the_same(written: list[LibraryWarning]) -> None:
    LibraryLog().handle(logging.LogRecord("aiokafka", logging.ERROR, "", 0, "%d brokers", ("no",), None))
    assert written[0].message == "%d brokers"
