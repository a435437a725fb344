"""How log events become lines on stdout: JSON for machines, or text for people.

Decides the form of a line, of the worker's own events and of what libraries log. Knows no event. Invariants:
no line shows local variables, and libraries' lines below WARNING are not written, because both may hold
people's data; a line that cannot be written stops no work, and the next one says how many were lost.
"""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import structlog

from worker.library_log import LibraryLog


class _Lines:
    """A stream that counts the lines that it cannot write, as on a full disk, and goes on.

    The disk of a log fills up first, and the worker can do its work without a log. A pipe whose reader has
    gone raises BrokenPipeError and ends the program, as usual.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""
        self.lost = 0
        """Lines that could not be written since the last one that was."""

    def write(self, text: str) -> int:
        self._line += text
        return len(text)

    def flush(self) -> None:
        line, self._line = self._line, ""
        try:
            self._stream.write(line)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError:
            self.lost += 1
        else:
            self.lost = 0


def format_here(configured: str) -> str:
    """The format to use: ``auto`` is ``console`` on a terminal, else ``json``."""
    if configured != "auto":
        return configured
    return "console" if sys.stdout.isatty() else "json"


@contextmanager
def silenced() -> Iterator[None]:
    """Write no log line within the block: for commands that print their result to stdout."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def instance_here(configured: str) -> str:
    """The name of this process in the log: the configured one, or else host name and process id."""
    return configured or f"{socket.gethostname()}:{os.getpid()}"


def configure(log_format: str, level: str, *, instance: str = "", slot: int | None = None) -> None:
    """Set up the log of this process: ``json`` or ``console`` lines on stdout.

    ``instance`` and ``slot`` are in every line, libraries' too. Libraries' lines become ``library.warning``;
    they are written from WARNING on, whatever ``level`` is, because the Kafka client's DEBUG lines hold keys
    and values.
    """
    numeric = logging.getLevelName(level.upper())
    lines: Any = _Lines(sys.stdout)
    renderer: Any = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if log_format == "console"
        else structlog.processors.JSONRenderer()
    )

    def common_fields_first(_logger: Any, _method: str, line: Any) -> dict[str, Any]:
        """The fields that every line has come first."""
        who: dict[str, Any] = {"instance": instance} if instance else {}
        if slot is not None:
            who["slot"] = slot
        front = {name: line[name] for name in ("event", "level", "timestamp")}
        lost = {"log_lines_lost": lines.lost} if lines.lost else {}
        return {**front, **who, **lost, **line}

    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Never with local variables: they may be people's data.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        )
        if log_format != "console"
        else structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, common_fields_first, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(lines),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [LibraryLog()]
    root.setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(max(logging.WARNING, numeric))
