"""Batches of Kafka's format 2 built byte by byte: with what the client's producer would never send."""

import struct
from collections.abc import Sequence

from aiokafka.codec import gzip_encode, zstd_encode
from aiokafka.record.util import calc_crc32c, encode_varint
from msgspec import Struct

from worker.adapters.kafka.decompression import GZIP, ZSTD

_HEADER_BYTES, _ATTRIBUTES_AT, _CRC_AT, _MAGIC_AT = 61, 21, 17, 16


class Built(Struct, frozen=True):
    """A record without a key."""

    value: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()


def built_batch(
    *records: Built, base_offset: int = 0, codec: int = 0, packed: bytes | None = None, magic: int = 2
) -> bytes:
    """One batch with a right checksum. ``packed``: instead of what the codec makes of the records."""
    body = b"".join(_record(number, record) for number, record in enumerate(records))
    body = _pack(body, codec) if packed is None else packed
    tail = struct.pack(">hiqqqhii", codec, len(records) - 1, 1_000, 1_000, -1, -1, -1, len(records)) + body
    head = struct.pack(">qiibI", base_offset, 9 + len(tail), 0, magic, calc_crc32c(tail))
    assert len(head + tail) == _HEADER_BYTES + len(body)
    return head + tail


def _pack(body: bytes, codec: int) -> bytes:
    return bytes({0: bytes, GZIP: gzip_encode, ZSTD: zstd_encode}[codec](body))


def _record(number: int, record: Built) -> bytes:
    fields = bytearray(b"\0")
    for field in (0, number, -1, len(record.value)):
        encode_varint(field, fields.append)
    fields += record.value
    encode_varint(len(record.headers), fields.append)
    for name, value in record.headers:
        for text in (name, value):
            encode_varint(len(text), fields.append)
            fields += text
    whole = bytearray()
    encode_varint(len(fields), whole.append)
    return bytes(whole + fields)
