"""Answers to fetches: batches of every kind behind one another, whole or damaged."""

import struct
from collections.abc import Callable, Sequence

from aiokafka.codec import gzip_encode, snappy_encode, zstd_encode
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c, encode_varint
from hypothesis import strategies as st
from msgspec import Struct

APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20
CRC_AT, ATTRIBUTES_AT, HEADER_BYTES = 17, 21, 61
CODECS: dict[int, Callable[[bytes], bytes]] = {
    0: bytes, 1: gzip_encode, 2: snappy_encode, 4: zstd_encode
}  # fmt: skip
PRODUCERS = [-1, 7, 8]

Bytes = bytes | None


class MadeRecord(Struct, frozen=True):
    """A record, ``offset_delta`` behind the base offset of its batch."""

    offset_delta: int
    time_delta: int
    key: Bytes
    value: Bytes
    headers: Sequence[tuple[bytes, Bytes]]

    def encoded(self) -> bytes:
        """As it lies in a batch."""
        fields = bytearray(b"\0")
        encode_varint(self.time_delta, fields.append)
        encode_varint(self.offset_delta, fields.append)
        for part in (self.key, self.value):
            _add(fields, part)
        encode_varint(len(self.headers), fields.append)
        for pair in self.headers:
            for part in pair:
                _add(fields, part)
        whole = bytearray()
        encode_varint(len(fields), whole.append)
        return bytes(whole + fields)


def _add(fields: bytearray, part: Bytes) -> None:
    encode_varint(-1 if part is None else len(part), fields.append)
    fields += part or b""


class Kind(Struct, frozen=True):
    """What a batch's header says beside its records."""

    codec: int = 0
    attributes: int = 0
    producer: int = -1
    gap: int = 0
    """How many of its last records compaction took."""
    count: int | None = None
    """A number of records that is not the right one."""


def batch(base_offset: int, records: Sequence[MadeRecord], kind: Kind) -> bytes:
    """A batch of format 2 with a right checksum."""
    body = CODECS[kind.codec](b"".join(record.encoded() for record in records))
    return with_body(base_offset, body, kind, len(records))


def with_body(base_offset: int, body: bytes, kind: Kind, count: int) -> bytes:
    """The same, of any bytes in the place of the records."""
    said = count if kind.count is None else kind.count
    last_delta = max(0, count - 1) + kind.gap
    attributes = kind.attributes | kind.codec
    tail = struct.pack(">hiqqqhii", attributes, last_delta, 5_000, 9_000, kind.producer, 0, 0, said)
    head = struct.pack(">qiibI", base_offset, 9 + len(tail + body), 0, 2, calc_crc32c(tail + body))
    return head + tail + body


def marker(base_offset: int, producer: int, *, aborts: bool) -> bytes:
    """The end of a transaction."""
    key = struct.pack(">hh", 0, 0 if aborts else 1)
    record = MadeRecord(0, 0, key, b"\0\0\0\0\0\0", ())
    return batch(base_offset, [record], Kind(attributes=TRANSACTIONAL | CONTROL, producer=producer))


def fix_checksum(damaged: bytearray, start: int, end: int) -> None:
    """Make the checksum of the batch at that place right again."""
    if end - start > HEADER_BYTES:
        struct.pack_into(
            ">I", damaged, start + CRC_AT, calc_crc32c(bytes(damaged[start + ATTRIBUTES_AT : end]))
        )


names = st.sampled_from([b"a", b"", "é".encode(), b"caf\xe9", b"\xf0\x9f\x98", b"\xed\xa0\x80x"])
some_bytes = st.one_of(st.none(), st.binary(max_size=6), st.just(b"v" * 200))


@st.composite
def batches(draw: st.DrawFn, offset: int) -> tuple[bytes, int]:
    """A batch from ``offset`` on, and the offset behind it."""
    form = draw(st.sampled_from(["records"] * 6 + ["marker", "marker", "old", "bytes"]))
    offset += draw(st.sampled_from([0, 0, 0, 3]))
    producer = draw(st.sampled_from(PRODUCERS))
    if form == "marker":
        return marker(offset, producer, aborts=draw(st.booleans())), offset + 1
    if form == "old":
        builder = LegacyRecordBatchBuilder(draw(st.sampled_from([0, 1])), 0, 10_000)
        builder.append(offset, None, b"k", b"old")
        return bytes(builder.build()), offset + 1
    kind = Kind(
        codec=draw(st.sampled_from([0, 0, 0, 0, 1, 2, 4])),
        attributes=draw(st.sampled_from([0, 0, APPEND_TIME, TRANSACTIONAL, TRANSACTIONAL])),
        producer=producer,
        gap=draw(st.sampled_from([0, 0, 2])),
        count=draw(st.sampled_from([None] * 8 + [0, 1, -1, 2**31 - 1])),
    )
    if form == "bytes":
        return with_body(offset, draw(st.binary(max_size=40)), unpacked(kind), 2), offset + 2 + kind.gap
    deltas = sorted(draw(st.sets(st.integers(0, 6), max_size=4)))
    records = [
        MadeRecord(
            delta,
            draw(st.sampled_from([0, -3, 70, 2**40])),
            draw(some_bytes),
            draw(some_bytes),
            draw(st.lists(st.tuples(names, some_bytes), max_size=2)),
        )
        for delta in deltas
    ]
    return batch(offset, records, kind), offset + max(0, len(records) - 1) + kind.gap + 1


def unpacked(kind: Kind) -> Kind:
    """The same, not compressed."""
    return Kind(attributes=kind.attributes, producer=kind.producer, gap=kind.gap, count=kind.count)


class Answer(Struct, frozen=True):
    """What a broker answers to a fetch from ``position`` on."""

    content: bytes
    position: int
    aborted: list[tuple[int, int]]


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Any answer, about half of them damaged somewhere."""
    offset = first = 100
    content = bytearray()
    places = []
    for _ in range(draw(st.integers(0, 6))):
        one, offset = draw(batches(offset))
        places.append((len(content), len(content) + len(one)))
        content += one
    aborted = draw(
        st.lists(st.tuples(st.sampled_from(PRODUCERS[1:]), st.integers(first, offset)), max_size=3)
    )
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        if places:
            start, end = draw(st.sampled_from(places))
            content[draw(st.integers(start, end - 1))] = draw(st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF]))
            if draw(st.booleans()):
                fix_checksum(content, start, end)
    if draw(st.sampled_from([False, False, True])):
        del content[draw(st.integers(0, len(content))) :]
    return Answer(bytes(content), draw(st.integers(first, offset)), aborted)
