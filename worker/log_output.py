"""How log events become lines: JSON on stdout for machines, or something for people.

Decides the shape of a line, for the worker's own events and for what libraries say; not what is logged.
Invariants: no line shows local variables, and no library is heard below WARNING: both hold people's data. A
line that cannot be written stops no work, and the next one that can be tells how many were lost.
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
    """A stream whose lines are lost, and counted, where there is no room for them.

    A log's disk fills up sooner than any other, and what the worker does for its data needs no log. A pipe
    that nobody reads any more is no such case: it raises BrokenPipeError and ends the program, as usual.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""
        self.lost = 0
        """Lines that could not be written since one could."""

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
    """``auto`` is ``console`` on a terminal and ``json`` everywhere else."""
    if configured != "auto":
        return configured
    return "console" if sys.stdout.isatty() else "json"


@contextmanager
def silenced() -> Iterator[None]:
    """No log line is written: for a command that itself says what is wrong, and whose standard output is for
    its answer.
    """
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def instance_here(configured: str) -> str:
    """What stands for this process where nothing is configured: host name and process id."""
    return configured or f"{socket.gethostname()}:{os.getpid()}"


def configure(log_format: str, level: str, *, instance: str = "", slot: int | None = None) -> None:
    """Set the process's log up: ``json`` lines on stdout, or ``console`` for people.

    ``instance`` and ``slot`` stand in every line, libraries' too: who wrote it. Libraries' own lines become
    ``library.warning``. They are held at WARNING whatever the level: the Kafka client's DEBUG lines print
    keys and values.
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

    def essentials_first(_logger: Any, _method: str, line: Any) -> dict[str, Any]:
        """What people look for in every line stands where they look: in front."""
        whose: dict[str, Any] = {"instance": instance} if instance else {}
        if slot is not None:
            whose["slot"] = slot
        front = {name: line[name] for name in ("event", "level", "timestamp")}
        lost = {"log_lines_lost": lines.lost} if lines.lost else {}
        return {**front, **whose, **lost, **line}

    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Never with local variables: they hold people's data.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        )
        if log_format != "console"
        else structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, essentials_first, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(lines),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [LibraryLog()]
    root.setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(max(logging.WARNING, numeric))
