"""The records that consumers return, found in an answer by the native library.

Decides nothing of its own: what the library cannot read, or says is damaged, is read as without it, which
says what is wrong. Compressed batches are decompressed in pieces as without it, and the library reads the
pieces. Knows no rule of Kafka's batches. Invariant: the records, their order, the position and the errors are
those of ``FetchedRecords`` (tests/properties/test_native_batches_properties.py); a failure of the library is
never taken for a damaged batch.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from worker.adapters.kafka.decompression import DamagedBatchError
from worker.adapters.kafka.fetched_batches import CompressedBatch, FetchedBatches
from worker.adapters.kafka.records import FetchedRecord, FetchedRecords, use_fetched_records
from worker.native.parts import NativeParts

if TYPE_CHECKING:
    from sessionizer_native import Fetch, Records


P = ParamSpec("P")
T = TypeVar("T")


class _LibraryError(Exception):
    """The library raised ``raised``, which is a bug in it: no answer of a broker is an error to it."""

    def __init__(self, raised: Exception) -> None:
        super().__init__()
        self.raised = raised


def _called(call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    try:
        return call(*arguments, **options)
    except Exception as error:
        raise _LibraryError(error) from error


class NativeFetchedRecords(FetchedRecords):
    """The records of one fetch of one partition."""

    def __init__(self, native: NativeParts, library: ModuleType, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._native = native
        self._fetch: type[Fetch] = library.Fetch

    def read_pieces(self) -> Iterator[list[FetchedRecord]]:
        """The records in pieces; an empty one where the next batch waits for memory, or a poll shall end.

        They end where the library fails: what was not handed out is then fetched again, and read without it.
        Raises Fatal where it must be used.
        """
        try:
            yield from self._read()
        except _LibraryError as error:
            self._native.failed(error.raised)

    def _read(self) -> Iterator[list[FetchedRecord]]:
        answer: bytes = self.batches.answer
        fetch = _called(
            self._fetch,
            answer,
            self.next_fetch_offset,
            self.aborted_transactions,
            read_committed=self.reads_committed,
            check_crcs=self.checks_crcs,
        )
        while True:
            records, size_bytes, stop, place = _called(fetch.read, *self.budget.left)
            if found := self._fetched(records):
                self.next_fetch_offset = fetch.position
                self.budget.count(len(found), size_bytes)
                yield found
            self.next_fetch_offset = fetch.position
            if stop == "end":
                return
            if place is not None:
                yield from self._read_otherwise(FetchedBatches(answer[place[0] : place[1]]), stop)
                _called(fetch.pass_batch, self.next_fetch_offset)

    def records_of(self, records: Iterable[Any], batch: bytes | memoryview) -> list[FetchedRecord]:
        """The records from the position on; ``batch`` is what they are parsed from, if anything."""
        if batch:
            position = self.next_fetch_offset
            fetch = _called(self._fetch, bytes(batch), position, read_committed=False, check_crcs=False)
            found, _, stop, _ = _called(fetch.read, sys.maxsize, sys.maxsize)
            if stop == "end":
                return self._fetched(found)
        return super().records_of(records, batch)

    def _read_otherwise(self, batches: FetchedBatches, stop: str) -> Iterator[list[FetchedRecord]]:
        """The records of the one batch at which the library stopped, which is not to be skipped."""
        if stop == "other":
            yield from self.read_batch(batches)
            return
        batch = self.checked_batch(batches) if stop == "damaged" else batches.next_batch()
        if batch.is_control_batch:
            raise DamagedBatchError("the marker of a transaction has no valid form")
        if isinstance(batch, CompressedBatch):
            yield from self.decompressed(batch)
        elif found := super().records_of(batch, batches.batch):
            self.next_fetch_offset = batch.next_offset
            self.budget.count(len(found), len(batches.batch))
            yield found
        self.next_fetch_offset = batch.next_offset

    def _fetched(self, records: "Records") -> list[FetchedRecord]:
        topic, partition = self.topic_partition
        return [FetchedRecord(topic, partition, *fields) for fields in _called(records.tuples)]


def records_by(native: NativeParts) -> Callable[..., FetchedRecords]:
    """What makes records of a fetch: natively, for as long as the library is used."""

    def made(*arguments: Any) -> FetchedRecords:
        library = native.library
        if library is None:
            return FetchedRecords(*arguments)
        return NativeFetchedRecords(native, library, *arguments)

    return made


def use_native_records(native: NativeParts) -> None:
    """Let every consumer of this process read its answers so from now on."""
    use_fetched_records(records_by(native))
