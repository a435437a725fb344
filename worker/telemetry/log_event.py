"""What every log event has. Decides the form, never what is said; the invariant is the catalogue's."""

from typing import ClassVar

from msgspec import Struct

Level = str


class LogEvent(Struct, frozen=True, kw_only=True):
    """One kind of log line. ``NAME`` is its ``event`` field, ``LEVEL`` its level."""

    NAME: ClassVar[str]
    LEVEL: ClassVar[Level] = "info"
