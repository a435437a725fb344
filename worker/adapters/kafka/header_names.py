"""Reads the records of a batch in which the name of a header is not UTF-8.

Decides how such a name is read: bytes that are not UTF-8 become U+FFFD. Brokers accept any bytes there, and
Kafka's own consumer reads them; the client's parser raises, and gives nothing of the batch. Knows Kafka's
batch format 2, not compressed; nothing of topics. It takes 5 us a record, the client's parser 0.5
(2026-11-30), so it runs only where that has raised UnicodeDecodeError. Invariant: the records are otherwise
those of the client's parser.
"""

import struct
from typing import cast

from worker.adapters.kafka.fetched_batches import Record, read_varint

_HEADER = struct.Struct(">qiibIhiqqqhii")
_LOG_APPEND_TIME = 0x08


def records_with_any_header_name(batch: bytes | memoryview) -> list[Record]:
    """The records of the batch. Raises DamagedBatchError or ValueError where they have no valid form."""
    header = _HEADER.unpack_from(batch)
    base_offset, attributes, first_ms, last_ms, count = header[0], header[5], header[7], header[8], header[12]
    buffer = bytes(batch)
    position = _HEADER.size
    records = []
    for _ in range(count):
        size_bytes, position = read_varint(buffer, position)
        end = position + size_bytes
        _, position = read_varint(buffer, position)  # its attributes, which are unused
        time_delta, position = read_varint(buffer, position)
        offset_delta, position = read_varint(buffer, position)
        key, position = _bytes_at(buffer, position)
        value, position = _bytes_at(buffer, position)
        headers: list[tuple[str, bytes]] = []
        left, position = read_varint(buffer, position)
        if left < 0:
            raise ValueError("a negative number of headers")
        for _ in range(left):
            name, position = _bytes_at(buffer, position)
            if name is None:
                raise ValueError("a header without a name")
            header_value, position = _bytes_at(buffer, position)
            headers.append((name.decode(errors="replace"), cast("bytes", header_value)))
        if position != end or end > len(buffer):
            raise ValueError("a record's length is not that of its fields")
        timestamp_ms = last_ms if attributes & _LOG_APPEND_TIME else first_ms + time_delta
        records.append(Record(base_offset + offset_delta, timestamp_ms, key, value, tuple(headers)))
    if position != len(buffer):
        raise ValueError("something follows the batch's last record")
    return records


def _bytes_at(buffer: bytes, position: int) -> tuple[bytes | None, int]:
    """The bytes behind the length at this position, None for a length of -1; and where they end."""
    size_bytes, position = read_varint(buffer, position)
    if size_bytes < 0:
        return None, position
    return buffer[position : position + size_bytes], position + size_bytes
