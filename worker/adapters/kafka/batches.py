"""Records of one topic become batches that the client's producer sends.

Decides how records are spread over batches: in order, each batch as full as it may be. Knows no producer, no
transaction and no topic. Invariant: both ways to fill batches give the same records, in batches of the same
records (tests/properties/test_native_batches_properties.py).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from worker.adapters.kafka.client_internals.producer import NativeBatch, append_records
from worker.model.output_records import Outgoing
from worker.model.outputs import OutputRecord
from worker.model.repartition import Headers
from worker.native.parts import NativeParts

if TYPE_CHECKING:
    from sessionizer_native import BatchWriter

ToSend = Outgoing | Sequence[OutputRecord]

_NO_HEADERS: Headers = []


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
) -> list[NativeBatch]:
    """The same, put together by the native library, which is there, for a transaction."""
    library = native.library
    assert library is not None
    writer: BatchWriter = library.BatchWriter(packing.most_bytes)
    now_ms = int(time.time() * 1000)  # what the client gives a record without a time
    try:
        if headers is None:
            writer.extend(records, now_ms)
        else:
            for (key, value, timestamp_ms), own_headers in zip(records, headers, strict=True):
                writer.push(key, value, now_ms if timestamp_ms is None else timestamp_ms, own_headers)
    except library.EngineFailed as error:
        native.failed(str(error))
        raise
    return [NativeBatch(batch, packing.compression, is_transactional=True) for batch in writer.take()]
