"""What the native library offers to Python; checked for types also where it is not installed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, final

SOURCES: str
"""Hash of the sources that the library was built from: eight hexadecimal digits."""

class EngineFailed(RuntimeError):  # noqa: N818
    """The engine panicked: drop the object that was called. The text has the place."""

def panic_here() -> None:
    """Raise EngineFailed, as a fault of the engine does: for tests of what becomes of it."""

Stop = Literal["full", "end", "packed", "other", "damaged"]
RecordFields = tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]

@final
class Records:
    """Records of one fetch, in order: places in its bytes, which they keep alive."""

    @property
    def first_offset(self) -> int | None:
        """The offset of the first; None where there is none."""

    @property
    def last_offset(self) -> int | None:
        """The offset of the last; None where there is none."""

    @property
    def value_bytes(self) -> int:
        """The size of all values."""

    def __len__(self) -> int: ...
    def times(self) -> list[int]:
        """The timestamp of each, ms."""

    def offsets(self) -> list[int]:
        """The offset of each."""

    def slice(self, start: int, stop: int) -> Records:
        """Some of them, as a list's slice; both at least 0."""

    def tuples(self) -> list[RecordFields]:
        """(offset, timestamp, key, value, headers) of each; U+FFFD where a header's name is not UTF-8."""

@final
class Fetch:
    """The answer to one fetch of one partition: batches of format 2, which are read one after the other."""

    def __new__(
        cls,
        answer: bytes,
        position: int,
        aborted: Sequence[tuple[int, int]] = ...,
        *,
        read_committed: bool = True,
        check_crcs: bool = True,
    ) -> Fetch:
        """``position``: the offset asked for. ``aborted``: (producer, first offset) of what was aborted."""

    @property
    def position(self) -> int:
        """The offset to go on from: behind all that was read or skipped."""

    def read(self, most_records: int, most_bytes: int) -> tuple[Records, int, Stop, tuple[int, int] | None]:
        """(records, bytes of their batches, why no more came, start and end of the batch it stopped at).

        It may bring one batch more than asked for. ``full``: so much was read. ``end``: no whole batch
        follows. ``packed``: the batch is compressed. ``other``: it has another format than 2, or did not come
        whole. ``damaged``: its checksum is wrong, or its records have no valid form.
        """

    def pass_batch(self, position: int) -> None:
        """Go on at that offset, behind the batch it stopped at, whose records were read elsewhere."""

@final
class BatchWriter:
    """Records of one partition, cut into batches of fewer than ``most_bytes``; one record may be larger."""

    def __new__(cls, most_bytes: int) -> BatchWriter: ...
    def extend(self, records: Iterable[tuple[bytes | None, bytes | None, int | None]], now_ms: int) -> None:
        """Write (key, value, timestamp) of each record; ``now_ms`` for a timestamp of None."""

    def push(
        self,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Sequence[tuple[str, bytes | None]],
    ) -> None:
        """Write one record with headers."""

    def take(self) -> list[Batch]:
        """The batches so far, in order; after that it is empty."""

@final
class Batch:
    """A batch with at least one record. Its length is the number of records."""

    @property
    def size_bytes(self) -> int:
        """Its size when it is not compressed."""

    def __len__(self) -> int: ...
    def records(self) -> bytes:
        """Its records, as they are compressed."""

    def build(self, producer: tuple[int, int, int], attributes: int, packed: bytes | None = None) -> bytes:
        """The batch as it is sent by (id, epoch, sequence); ``packed``: its records, compressed."""

class ValueReader:
    """Reads values of raw records by the tables of ``worker.core.engine_tables``."""

    def __init__(self, tables: Mapping[str, object]) -> None:
        """Raises ValueError, TypeError or KeyError for tables that lack something or have more."""

    def decode(self, value: bytes | None) -> _Outcomes:
        """The events of a value and its rejections, with the fields of ``Event`` and ``Rejection``."""

    def elements(self, value: bytes) -> list[bytes]:
        """The elements of a value, in order, whether they are events or refused."""

    def refuse_cut(self, beginning: bytes, size_bytes: int, sha256: str) -> _Outcomes:
        """The rejection of a value that is larger than its reader holds."""

    def count(self, values: Sequence[bytes | None]) -> tuple[int, int]:
        """How many events and how many rejections the values have."""

_Event = tuple[str, str, str, int, str | None, str | None, str | None, bytes | None, bytes | None]
_Outcomes = tuple[list[_Event], list[tuple[str, str, int | None, bytes]]]
