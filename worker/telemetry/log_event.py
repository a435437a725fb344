"""The form of a log event, and the one way to write one.

Knows no single event: those are in the other modules of this package.
"""

from typing import ClassVar, Literal

import structlog
from msgspec import Struct, structs

Level = Literal["info", "warning", "error"]


class LogEvent(Struct, frozen=True, kw_only=True):
    """One kind of log line. ``NAME`` is its ``event`` field, ``LEVEL`` its level."""

    NAME: ClassVar[str]
    LEVEL: ClassVar[Level] = "info"


def emit(event: LogEvent) -> None:
    """Write one event to the log."""
    getattr(structlog.get_logger(), event.LEVEL)(event.NAME, **structs.asdict(event))
