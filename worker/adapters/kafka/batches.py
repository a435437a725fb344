"""Records of one topic become batches that the client's producer sends.

Decides how records are spread over batches: in order, each about as full as it may be, and no more of them at
a time than needed, since the records are held beside them. Knows no producer, no transaction and no topic.
Invariant: both ways to fill batches give the same records; natively one batch in some is
not full (tests/properties/test_native_batches_properties.py).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from worker.adapters.kafka.client_internals.producer import NativeBatch, append_records
from worker.errors import TransactionLost
from worker.model.output_records import Outgoing
from worker.model.outputs import OutputRecord
from worker.model.repartition import Headers
from worker.native.parts import NativeParts

if TYPE_CHECKING:
    from sessionizer_native import BatchWriter

ToSend = Outgoing | Sequence[OutputRecord]

_NO_HEADERS: Headers = []

_FIRST_RECORDS = 500
"""How many records are written natively before the first batches are taken."""
_FILLED = 4.5
"""How many batches the next records shall fill, by the size of the last ones: only the last is not full."""
_MOST_GROWTH = 4


def filled_batches(
    create_batch: Callable[[], Any], records: ToSend, headers: Sequence[Headers] | None
) -> Iterator[Any]:
    """The client's batches, one after the other. ``headers``: of each record; None where none has any."""
    sent = 0
    while sent < len(records):
        batch = create_batch()
        rest = repeat(_NO_HEADERS) if headers is None else islice(headers, sent, None)
        sent += append_records(batch, islice(records, sent, None), rest)
        yield batch


class Packing(NamedTuple):
    """How large a batch may be, and how it is compressed: one of ``CODECS``, or none."""

    most_bytes: int
    compression: str


def native_batches(
    native: NativeParts, packing: Packing, records: ToSend, headers: Sequence[Headers] | None
) -> Iterator[NativeBatch]:
    """The same, put together by the native library, which is there, for a transaction, some at a time.

    Raises TransactionLost where the library fails, or Fatal where it must be used.
    """
    library = native.library
    assert library is not None

    def failed(error: Exception) -> TransactionLost:
        native.failed(error)
        return TransactionLost("the native library failed: going on without it")

    try:
        writer: BatchWriter = library.BatchWriter(packing.most_bytes)
    except Exception as error:
        raise failed(error) from error
    now_ms = int(time.time() * 1000)  # what the client gives a record without a time
    written, count = 0, _FIRST_RECORDS
    rest, rest_of_headers = iter(records), None if headers is None else iter(headers)
    while written < len(records):
        try:
            _write(writer, islice(rest, count), rest_of_headers, now_ms)
            batches = writer.take()
        except Exception as error:
            raise failed(error) from error
        written += count
        for batch in batches:
            yield NativeBatch(batch, packing.compression, failed, is_transactional=True)
        size_bytes = sum([batch.size_bytes for batch in batches])
        count = min(_MOST_GROWTH * count, int(_FILLED * packing.most_bytes * count / max(1, size_bytes)) or 1)


def _write(
    writer: "BatchWriter",
    records: Iterator[OutputRecord],
    headers: Iterator[Headers] | None,
    now_ms: int,
) -> None:
    if headers is None:
        writer.extend(records, now_ms)
        return
    for (key, value, timestamp_ms), own_headers in zip(records, headers, strict=False):
        writer.push(key, value, now_ms if timestamp_ms is None else timestamp_ms, own_headers)
