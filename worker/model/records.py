"""The records of one input, as a source gives them to an engine.

Decides how some of many are named: by their places, from 0. Whoever reads them need not make an object of
each. Must not know how they were fetched, nor what is in them. Invariants: all are of one partition of one
topic; their offsets grow; what is cut off is again ``Records``.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Protocol

from worker.model.events import InputRecord, Rejection


class Records(Protocol):
    """Records in order. A place is a position among them. Topic and offsets are only known of some."""

    def __len__(self) -> int:
        """How many they are."""
        ...

    def __iter__(self) -> Iterator[InputRecord]:
        """Each of them, as an object."""
        ...

    @property
    def topic(self) -> str:
        """The topic that they were read from."""
        ...

    @property
    def first_offset(self) -> int:
        """The offset of the first one."""
        ...

    @property
    def last_offset(self) -> int:
        """The offset of the last one."""
        ...

    @property
    def refusals(self) -> Mapping[int, Rejection]:
        """By place what their reader has refused: these values are not decoded."""
        ...

    def times_ms(self) -> Sequence[int]:
        """The timestamp of each, as Kafka has it; -1 for none."""
        ...

    def place_of(self, offset: int) -> int:
        """The place of the first record that is not before this offset; their number if all are."""
        ...

    def end_of(self, start: int, most_bytes: int) -> int:
        """The place after as many as have ``most_bytes`` of value together, from ``start`` on; at least one.

        A value that is missing has no size.
        """
        ...

    def between(self, start: int, end: int) -> Sequence[InputRecord]:
        """Those from place ``start`` on and before ``end``, as objects."""
        ...

    def part(self, start: int, end: int) -> "Records":
        """Those from place ``start`` on and before ``end``, of which there is at least one."""
        ...


class ListedRecords:
    """``Records`` that are objects already: of a simulation, of files, of a client that makes them."""

    __slots__ = ("_bytes_up_to", "_records", "refusals")

    def __init__(
        self, records: Sequence[InputRecord], refusals: Mapping[int, Rejection] | None = None
    ) -> None:
        """``refusals``: by place what their reader has refused."""
        self._records = records
        self._bytes_up_to: list[int] | None = None  # up to and with each of them; made when they are cut
        self.refusals: Mapping[int, Rejection] = refusals or {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[InputRecord]:
        return iter(self._records)

    @property
    def topic(self) -> str:
        """The topic of the first one, which is that of all."""
        return self._records[0].topic

    @property
    def first_offset(self) -> int:
        """The offset of the first one."""
        return self._records[0].offset

    @property
    def last_offset(self) -> int:
        """The offset of the last one."""
        return self._records[-1].offset

    def times_ms(self) -> Sequence[int]:
        """The timestamp of each."""
        return [record.timestamp for record in self._records]

    def place_of(self, offset: int) -> int:
        """The place of the first record that is not before this offset."""
        if self._records[0].offset >= offset:  # as nearly always
            return 0
        return bisect_left(self._records, offset, key=_offset_of)

    def end_of(self, start: int, most_bytes: int) -> int:
        """The place after as many as have ``most_bytes`` of value together, from ``start`` on."""
        if self._bytes_up_to is None:
            sizes = [len(value) if (value := record.value) is not None else 0 for record in self._records]
            self._bytes_up_to = list(accumulate(sizes))
        before = self._bytes_up_to[start - 1] if start else 0
        return max(start + 1, bisect_right(self._bytes_up_to, before + most_bytes))

    def between(self, start: int, end: int) -> Sequence[InputRecord]:
        """Those from place ``start`` on and before ``end``."""
        return self._records if end - start == len(self._records) else self._records[start:end]

    def part(self, start: int, end: int) -> "ListedRecords":
        """The same as ``Records``."""
        refusals = {place - start: found for place, found in self.refusals.items() if start <= place < end}
        return ListedRecords(self._records[start:end], refusals)


NO_RECORDS = ListedRecords(())


def _offset_of(record: InputRecord) -> int:
    return record.offset
