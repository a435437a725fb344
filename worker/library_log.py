"""What libraries log, most of all the Kafka client: each cause once a minute, with the number passed over.

While brokers are away the client logs 70 lines a second, all alike. Decides which lines are alike (the same
logger and the same text but for numbers) and when one is written again. Invariants: the first line of each
cause is written at once, and no line is lost uncounted; memory is bounded; no line holds variables, and the
text of an asyncio task's exception not its arguments: both may be people's data.
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

_QUIET_S = 60.0
_MOST_CAUSES = 200
_MOST_CHARACTERS = 500
_MOST_FRAMES = 12
_numbers = re.compile(r"0x[0-9a-fA-F]+|\d+")

Key = tuple[str, str]


class _Cause(Struct):
    """Since its last line: when the next one may be written, how many were passed over, and the newest."""

    quiet_until: float
    passed_over: int
    newest: str
    newest_at: float


class LibraryLog(logging.Handler):
    """Handles the records of all libraries, as ``telemetry.LibraryWarning``."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._now = now
        self._causes: dict[Key, _Cause] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it. Called under the handler's lock."""
        text = _text_of(record)
        key = self._key(record.name, text)
        known = self._causes.get(key)
        now = self._now()
        if known is not None and now < known.quiet_until:
            known.passed_over += 1
            known.newest, known.newest_at = text, now
            return
        passed_over = 0 if known is None else known.passed_over
        self._write(key, text, passed_over, now, _raised_at(record))

    def _key(self, logger: str, text: str) -> Key:
        key = logger, _numbers.sub("0", text)
        if key in self._causes or len(self._causes) < _MOST_CAUSES:
            return key
        for other, cause in list(self._causes.items()):
            if self._now() >= cause.quiet_until and not cause.passed_over:
                del self._causes[other]
        return key if len(self._causes) < _MOST_CAUSES else (logger, "")  # all the rest is one cause

    def _write(self, key: Key, text: str, passed_over: int, at: float, raised_at: list[str]) -> None:
        now = self._now()
        self._causes[key] = _Cause(now + _QUIET_S, 0, text, at)
        telemetry.emit(
            telemetry.LibraryWarning(
                logger=key[0],
                cause=text,
                passed_over=passed_over,
                seconds_ago=round(now - at, 1),
                raised_at=raised_at,
            )
        )
        with contextlib.suppress(RuntimeError):  # no event loop here: the next line of this cause ends it
            asyncio.get_running_loop().call_later(_QUIET_S, self._end_quiet, key)

    def _end_quiet(self, key: Key) -> None:
        """Write the newest of the lines that were passed over, if there are any; else forget the cause."""
        self.acquire()
        try:
            known = self._causes.get(key)
            if known is None or self._now() < known.quiet_until:
                return
            if known.passed_over:
                self._write(key, known.newest, known.passed_over - 1, known.newest_at, [])
            else:
                del self._causes[key]
        finally:
            self.release()


def _text_of(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit
        text = str(record.msg)
    if record.name == "asyncio":
        text = text.partition("\n")[0]  # what follows shows a task, with its exception's arguments
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        text = f"{text}: {type(error).__name__}: {error}"
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."


def _raised_at(record: logging.LogRecord) -> list[str]:
    """Where an exception comes from, innermost last."""
    trace = record.exc_info[2] if record.exc_info else None
    frames = traceback.extract_tb(trace)[-_MOST_FRAMES:]
    return [
        f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in frames
    ]
