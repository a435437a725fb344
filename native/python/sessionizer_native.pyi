"""What the native engine offers to Python; checked for types also where it is not installed."""

from collections.abc import Mapping, Sequence

SOURCES: str
"""Hash of the sources that the library was built from: eight hexadecimal digits."""

class EngineFailed(RuntimeError):  # noqa: N818
    """The engine panicked: drop the object that was called. The text has the place."""

class ValueReader:
    """Reads values of raw records by the tables of ``worker.core.engine_tables``."""

    def __init__(self, tables: Mapping[str, object]) -> None:
        """Raises ValueError, TypeError or KeyError for tables that lack something."""

    def decode(self, value: bytes | None) -> _Outcomes:
        """The events of a value and its rejections, with the fields of ``Event`` and ``Rejection``."""

    def refuse_cut(self, beginning: bytes, size_bytes: int, sha256: str) -> _Outcomes:
        """The rejection of a value that is larger than its reader holds."""

    def count(self, values: Sequence[bytes | None]) -> tuple[int, int]:
        """How many events and how many rejections the values have."""

_Event = tuple[str, str, str, int, str | None, str | None, str | None, bytes | None, bytes | None]
_Outcomes = tuple[list[_Event], list[tuple[str, str, int | None, bytes]]]
