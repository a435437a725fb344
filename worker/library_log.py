"""What libraries log, most of all the Kafka client: each cause once a minute, with the number suppressed.

While brokers are away the client logs 70 lines a second, all alike. Decides which lines are alike (the same
logger and the same text but for numbers) and when one is written again. Knows nothing of what they mean.
Invariants: the first line of each cause is written at once; every line is written or counted; memory is
bounded; no line holds variables, and what asyncio logs of a failed task not the exception's arguments: both
may be people's data.
"""

import asyncio
import contextlib
import logging
import re
import time
import traceback
from collections.abc import Callable
from pathlib import PurePath

from msgspec import Struct

from worker import telemetry

_INTERVAL_S = 60.0
_MAX_CAUSES = 200
_MAX_CHARACTERS = 500
_MAX_FRAMES = 12
_numbers = re.compile(r"0x[0-9a-fA-F]+|\d+")

Key = tuple[str, str]
"""A cause: the logger, and the message with 0 for each number."""


class _Cause(Struct):
    """Since its last line: when the next one may be written, how many were suppressed, and the newest of
    them.
    """

    next_line_at_s: float
    suppressed: int
    message: str
    logged_at_s: float


class LibraryLog(logging.Handler):
    """Writes the log records of all libraries as ``telemetry.LibraryWarning``."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._now = now
        self._causes: dict[Key, _Cause] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it. Called under the handler's lock."""
        message = _message_of(record)
        key = self._key(record.name, message)
        cause = self._causes.get(key)
        now_s = self._now()
        if cause is not None and now_s < cause.next_line_at_s:
            cause.suppressed += 1
            cause.message, cause.logged_at_s = message, now_s
            return
        suppressed = 0 if cause is None else cause.suppressed
        self._write(key, message, suppressed, now_s, _traceback_of(record))

    def _key(self, logger: str, message: str) -> Key:
        key = logger, _numbers.sub("0", message)
        if key in self._causes or len(self._causes) < _MAX_CAUSES:
            return key
        for other, cause in list(self._causes.items()):
            if self._now() >= cause.next_line_at_s and not cause.suppressed:
                del self._causes[other]
        return key if len(self._causes) < _MAX_CAUSES else (logger, "")  # all the rest is one cause

    def _write(self, key: Key, message: str, suppressed: int, logged_at_s: float, frames: list[str]) -> None:
        now_s = self._now()
        self._causes[key] = _Cause(now_s + _INTERVAL_S, 0, message, logged_at_s)
        telemetry.emit(
            telemetry.LibraryWarning(
                logger=key[0],
                message=message,
                suppressed=suppressed,
                age_s=round(now_s - logged_at_s, 1),
                traceback=frames,
            )
        )
        # Without an event loop the next line of this cause writes the count.
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().call_later(_INTERVAL_S, self._end_interval, key)

    def _end_interval(self, key: Key) -> None:
        """Write the newest suppressed line of the cause. Where there is none, the cause is removed."""
        self.acquire()
        try:
            cause = self._causes.get(key)
            if cause is None or self._now() < cause.next_line_at_s:
                return
            if cause.suppressed:
                self._write(key, cause.message, cause.suppressed - 1, cause.logged_at_s, [])
            else:
                del self._causes[key]
        finally:
            self.release()


def _message_of(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit
        message = str(record.msg)
    if record.name == "asyncio":
        message = message.partition("\n")[0]  # the next lines show a task, with its exception's arguments
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        message = f"{message}: {type(error).__name__}: {error}"
    return message if len(message) <= _MAX_CHARACTERS else f"{message[:_MAX_CHARACTERS]}..."


def _traceback_of(record: logging.LogRecord) -> list[str]:
    """Where an exception was raised, innermost last: file, line and function."""
    trace = record.exc_info[2] if record.exc_info else None
    frames = traceback.extract_tb(trace)[-_MAX_FRAMES:]
    return [
        f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in frames
    ]
