"""The record batches of one answer to a fetch, decompressed in pieces.

Decides how much of a batch is decompressed at once. Replaces the client's ``MemoryRecords``, which
decompresses a whole batch and holds it, though a batch of 11 KB may be 320 MB. Knows Kafka's batch format 2;
nothing of topics, transactions and positions. Invariants: the records are those of the client's own parser,
in order; a batch that is being read holds one piece beside its compressed bytes; of a record that is larger
than a piece, and whose value is over the limit, only the beginning is ever held.
"""

import hashlib
import struct
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from aiokafka.errors import CorruptRecordException
from msgspec import Struct

from worker.adapters.kafka.client_internals.fetcher import DefaultRecordBatch, MemoryRecords
from worker.adapters.kafka.decompression import DamagedBatchError, Stream, decompress_into, stream_of
from worker.core.decode import KEPT_OF_TOO_LARGE_BYTES
from worker.model.events import CutValue
from worker.model.repartition import Headers

PIECE_BYTES = 1024 * 1024
_SKIPPED_AT_ONCE_BYTES = 8 * PIECE_BYTES  # some 30 ms of decompression and hash, in which nothing else runs
_READ_BYTES = 256 * 1024
_LOG_OVERHEAD_BYTES = 12
_MAGIC_AT, _ATTRIBUTES_AT, _COUNT_AT, _HEADER_BYTES = 16, 22, 57, 61
_LARGEST_MAGIC = 2
_CODEC_MASK, _CONTROL_MASK = 0x07, 0x20
_LARGEST_VARINT_BYTES = 10
_ROOM = memoryview(bytearray(PIECE_BYTES))
"""Where batches of all consumers are decompressed, one after the other: nothing awaits in between."""


class Record(Struct, frozen=True):
    """A record as the client's parser gives it, for records that it cannot parse."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Piece(Struct, frozen=True):
    """Some records of a batch, in order. ``is_last`` of the batch.

    Without records it is a part of a large record that was skipped: whoever has other work does it now.
    """

    records: Iterable[Any]
    size_bytes: int
    is_last: bool
    batch: bytes = b""
    """What ``records`` are parsed from: a batch that is not compressed."""


class FetchedBatches:
    """Replaces the client's ``MemoryRecords``: the batches, without an incomplete last one."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self._answer = memoryview(answer)
        self._position = 0
        self.batch: bytes | memoryview = b""
        """The last batch, as it came."""

    def size_in_bytes(self) -> int:
        """The size of the whole answer, compressed."""
        return len(self._answer)

    def has_next(self) -> bool:
        """Whether a whole batch follows, or the first one is incomplete, which the client would skip.

        Brokers send an incomplete batch only behind a whole one.
        """
        return 0 < self._end() <= len(self._answer) or (not self._position and len(self._answer) > 0)

    def next_batch(self) -> Any:
        """The next batch; None where there is none. Raises the client's errors for one that has no form."""
        if not self.has_next():
            return None
        start, end = self._position, self._end()
        if not 0 < end <= len(self._answer):
            self._position = len(self._answer)
            raise CorruptRecordException(f"a batch of {end - start} bytes, of which {len(self._answer)} came")
        self._position = end
        batch = self.batch = self._answer[start:end]
        if len(batch) <= _MAGIC_AT or not 0 <= batch[_MAGIC_AT] <= _LARGEST_MAGIC:
            magic = batch[_MAGIC_AT] if len(batch) > _MAGIC_AT else "none"
            raise CorruptRecordException(f"unknown format of a batch: magic {magic}")
        if len(batch) < _HEADER_BYTES or batch[_MAGIC_AT] != _LARGEST_MAGIC:
            return MemoryRecords(bytes(batch)).next_batch()
        attributes = batch[_ATTRIBUTES_AT]
        if attributes & _CODEC_MASK and not attributes & _CONTROL_MASK:
            return CompressedBatch(batch)
        return DefaultRecordBatch(batch)

    def _end(self) -> int:
        """Where the next batch ends, which may be beyond what came; 0 without a beginning."""
        if self._position + _LOG_OVERHEAD_BYTES > len(self._answer):
            return 0
        (size_bytes,) = struct.unpack_from(">i", self._answer, self._position + 8)
        return int(self._position + _LOG_OVERHEAD_BYTES + max(0, size_bytes))


class CompressedBatch:
    """A compressed batch of format 2, with the attributes of the client's batch."""

    def __init__(self, batch: memoryview) -> None:
        self._batch = batch
        self._header = DefaultRecordBatch(batch)  # parses no record before it is asked to

    def __getattr__(self, name: str) -> Any:
        return getattr(self._header, name)

    def stream(self) -> Stream:
        """Its records, decompressed. Raises DamagedBatchError."""
        return stream_of(self._batch[_ATTRIBUTES_AT] & _CODEC_MASK, self._batch[_HEADER_BYTES:])

    def whole_piece(self) -> Piece | None:
        """All of its records where they fit into a piece, else None. Raises DamagedBatchError."""
        compressed, room = self._batch[_HEADER_BYTES:], _ROOM
        size_bytes = decompress_into(self._batch[_ATTRIBUTES_AT] & _CODEC_MASK, compressed, room)
        if size_bytes is None:
            return None
        return self._piece(room[:size_bytes], self._count(), is_last=True)

    def pieces(self, stream: Stream, most_value_bytes: int) -> Iterator[Piece]:
        """Its records, about a piece of them at a time. Raises DamagedBatchError."""
        reader = _Reader(stream)
        left = self._count()
        while left:
            reader.fill(PIECE_BYTES)
            size_bytes, count = whole_records(reader.buffer, left)
            if count:
                left -= count
                yield self._piece(reader.read(size_bytes), count, is_last=not left)
                continue
            record_bytes = reader.record_bytes()
            left -= 1
            if record_bytes <= max(PIECE_BYTES, most_value_bytes) + KEPT_OF_TOO_LARGE_BYTES:
                yield self._piece(reader.read(record_bytes), 1, is_last=not left)
            else:
                record = yield from self._large_record(reader, record_bytes, most_value_bytes)
                yield Piece((record,), 0, not left)
        if reader.fill(1):
            raise DamagedBatchError("something follows the batch's last record")

    def _count(self) -> int:
        (count,) = struct.unpack_from(">i", self._batch, _COUNT_AT)
        return int(count)

    def _piece(self, records: bytes | memoryview, count: int, *, is_last: bool) -> Piece:
        """A piece with a batch like this one, of these records alone, not compressed."""
        header = bytearray(self._batch[:_HEADER_BYTES])
        header[_ATTRIBUTES_AT] &= ~_CODEC_MASK
        struct.pack_into(">i", header, 8, _HEADER_BYTES - _LOG_OVERHEAD_BYTES + len(records))
        struct.pack_into(">i", header, _COUNT_AT, count)
        batch = b"".join([header, records])
        return Piece(DefaultRecordBatch(batch), len(records), is_last, batch)

    def _large_record(
        self, reader: "_Reader", record_bytes: int, most_value_bytes: int
    ) -> Generator[Piece, None, Record]:
        """The next record, without what nobody can use of it.

        That is all headers, the end of a value over the limit, and a key larger than what is kept of such a
        value.
        """
        end = reader.position + record_bytes
        reader.varint()  # its size, which is known
        reader.read(1)
        timestamp_delta, offset_delta = reader.varint(), reader.varint()
        key_bytes = reader.varint()
        key = None
        if 0 <= key_bytes <= KEPT_OF_TOO_LARGE_BYTES:
            key = reader.read(key_bytes)
        else:
            yield from reader.skip(max(0, key_bytes))
        value_bytes = reader.varint()
        if reader.position + max(0, value_bytes) > end:
            raise DamagedBatchError("a record's value is longer than the record")
        value: bytes | None = None
        if value_bytes > max(most_value_bytes, KEPT_OF_TOO_LARGE_BYTES):
            beginning = reader.read(KEPT_OF_TOO_LARGE_BYTES)
            digest = hashlib.sha256(beginning)
            yield from reader.skip(value_bytes - len(beginning), digest)
            value = CutValue.of(beginning, value_bytes, digest.hexdigest())
        elif value_bytes >= 0:
            value = reader.read(value_bytes)
        yield from reader.skip(end - reader.position)
        header = self._header
        own_time = header.first_timestamp + timestamp_delta
        timestamp = header.max_timestamp if header.timestamp_type else own_time
        return Record(header.base_offset + offset_delta, timestamp, key, value, ())


class _Reader:
    """Reads a stream, some bytes ahead."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.buffer = b""
        self.position = 0

    def fill(self, size_bytes: int) -> bool:
        """Read ahead until the buffer holds so many bytes; False where the stream ends before."""
        if len(self.buffer) < size_bytes:
            parts, there = [self.buffer], len(self.buffer)
            while there < size_bytes and (part := self._stream.read(min(size_bytes - there, _READ_BYTES))):
                parts.append(part)
                there += len(part)
            self.buffer = b"".join(parts)
        return len(self.buffer) >= size_bytes

    def read(self, size_bytes: int) -> bytes:
        """The next bytes."""
        if not self.fill(size_bytes):
            raise DamagedBatchError("the batch ends before its last record")
        taken, self.buffer = self.buffer[:size_bytes], self.buffer[size_bytes:]
        self.position += size_bytes
        return taken

    def skip(self, size_bytes: int, digest: Any = None) -> Iterator[Piece]:
        """Read so many bytes, add them to ``digest``, keep none; tell of it from time to time."""
        if size_bytes < 0:
            raise DamagedBatchError("a record is longer than it says")
        untold = 0
        while size_bytes:
            part = self.read(min(size_bytes, _READ_BYTES))
            size_bytes -= len(part)
            untold += len(part)
            if digest is not None:
                digest.update(part)
            if untold >= _SKIPPED_AT_ONCE_BYTES:
                yield Piece((), untold, is_last=False)
                untold = 0

    def varint(self) -> int:
        """The next number, zigzag."""
        self.fill(_LARGEST_VARINT_BYTES)
        value, size_bytes = read_varint(self.buffer, 0)
        self.read(size_bytes)
        return value

    def record_bytes(self) -> int:
        """The size of the next record, with its length field."""
        self.fill(_LARGEST_VARINT_BYTES)
        size_bytes, own_bytes = read_varint(self.buffer, 0)
        if size_bytes < 0:
            raise DamagedBatchError("a record of a negative size")
        return size_bytes + own_bytes


def whole_records(buffer: bytes, most: int) -> tuple[int, int]:
    """(bytes, records) of the whole records at the buffer's beginning, at most ``most`` of them."""
    position = count = 0
    end = len(buffer)
    while count < most and position + _LARGEST_VARINT_BYTES < end:
        size_bytes, after = read_varint(buffer, position)
        if size_bytes < 0:
            raise DamagedBatchError("a record of a negative size")
        if after + size_bytes > end:
            break
        position = after + size_bytes
        count += 1
    return position, count


def read_varint(buffer: bytes, position: int) -> tuple[int, int]:
    """The number at that position (zigzag), and where it ends. Raises DamagedBatchError."""
    if position < len(buffer) and (byte := buffer[position]) < 0x80:  # as nearly always
        return (byte >> 1) ^ -(byte & 1), position + 1
    value = shift = 0
    for place in range(position, min(position + _LARGEST_VARINT_BYTES, len(buffer))):
        byte = buffer[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), place + 1
        shift += 7
    raise DamagedBatchError("a number without an end")
