"""Decompresses Kafka's batches in pieces: gzip, Snappy, LZ4 frames and Zstandard.

Decides how each codec is read, and what counts as damage; knows nothing of records. Invariants: the pieces
together are what the client's own codecs would give at once; between two calls a stream holds no more than
``held_bytes`` beside the compressed bytes; a call returns no more than was asked for, or by one block more
where only whole blocks can be decompressed (LZ4: at most 4 MiB; Snappy: 32 KiB from Java, else the batch,
which is at most some 22 times as large as when compressed).
"""

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import cramjam

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
"""A batch's codecs, by their numbers in its attributes."""

_GZIP_WINDOW_BYTES = 64 * 1024
_GZIP_FORMAT = 31
_LARGEST_SNAPPY_RATIO = 22
_DOES_NOT_FIT = "failed to write whole buffer"
_XERIAL_HEADER = b"\x82SNAPPY\0"
_XERIAL_HEADER_BYTES = 16
_LZ4_MAGIC, _LZ4_SKIPPABLE = 0x184D2204, 0x184D2A50
_LZ4_BLOCK_BYTES = {4: 64 * 1024, 5: 256 * 1024, 6: 1024 * 1024, 7: 4 * 1024 * 1024}


class DamagedBatchError(Exception):
    """A batch cannot be read; the message says why, and quotes nothing of the content."""


class Stream(Protocol):
    """Compressed bytes that are decompressed piece by piece."""

    held_bytes: int
    """The most that it holds before its end, beside the compressed bytes."""

    def read(self, most_bytes: int) -> bytes:
        """The next bytes, about ``most_bytes`` of them; none at the end. Raises DamagedBatchError."""
        ...


def stream_of(codec: int, compressed: memoryview) -> Stream:
    """A stream over bytes compressed by that codec. Raises DamagedBatchError, for an unknown codec too."""
    if codec == ZSTD:
        return _Zstd(compressed)
    if codec == GZIP:
        return _Gzip(compressed)
    if codec == LZ4:
        return _Blocks(_lz4_blocks(compressed), _lz4_block_bytes(compressed))
    if codec == SNAPPY:
        return _Blocks(_snappy_blocks(compressed), 0)
    raise DamagedBatchError(f"unknown compression codec {codec}")


def decompress_into(codec: int, compressed: memoryview, room: memoryview) -> int | None:
    """Decompress all into ``room``: how many bytes; None where it does not fit. Raises DamagedBatchError."""
    if codec == ZSTD:  # most batches are small: to set up a stream costs more than to decompress them
        try:
            return int(cramjam.zstd.decompress_into(compressed, room))
        except cramjam.DecompressionError as error:
            if _DOES_NOT_FIT in str(error):
                return None
            raise DamagedBatchError(f"Zstandard: {error}") from error
    stream = stream_of(codec, compressed)
    size_bytes = 0
    while part := stream.read(len(room) - size_bytes + 1):
        if size_bytes + len(part) > len(room):
            return None
        room[size_bytes : size_bytes + len(part)] = part
        size_bytes += len(part)
    return size_bytes


class _Zstd:
    """Frames of Zstandard, one behind the other."""

    def __init__(self, compressed: memoryview) -> None:
        self._compressed: memoryview | bytes = compressed
        self._frame: zstd.ZstdDecompressor | None = None
        self.held_bytes = zstd_window_bytes(compressed)

    def read(self, most_bytes: int) -> bytes:
        try:
            while True:
                if self._frame is None:
                    if not self._compressed:
                        return b""
                    self._frame = zstd.ZstdDecompressor()
                piece = self._frame.decompress(self._compressed, most_bytes)
                self._compressed = b""
                if self._frame.eof:
                    self._compressed, self._frame = self._frame.unused_data, None
                elif not piece and self._frame.needs_input:
                    raise DamagedBatchError("Zstandard: the data ends too early")
                if piece:
                    return piece
        except zstd.ZstdError as error:
            raise DamagedBatchError(f"Zstandard: {error}") from error


def zstd_window_bytes(compressed: memoryview) -> int:
    """How far back the first frame may refer: what must be held to decompress it in pieces."""
    if len(compressed) < 6:
        return 0
    if compressed[4] & 0x20:  # a single segment: as large as its content, which it names
        try:
            return zstd.get_frame_info(compressed[:18]).decompressed_size or 0
        except zstd.ZstdError:
            return 0  # found damaged when it is read
    exponent, mantissa = compressed[5] >> 3, compressed[5] & 7
    return int((1 << (10 + exponent)) * (8 + mantissa) // 8)


class _Gzip:
    """Members of gzip, one behind the other; zeros may follow the last."""

    def __init__(self, compressed: memoryview) -> None:
        self._compressed: memoryview | bytes = compressed
        self._member = zlib.decompressobj(_GZIP_FORMAT)
        self.held_bytes = _GZIP_WINDOW_BYTES + len(compressed)  # zlib returns a copy of what it has not read

    def read(self, most_bytes: int) -> bytes:
        try:
            while True:
                if self._member.eof:
                    self._compressed = self._member.unused_data.lstrip(b"\0")
                    if not self._compressed:
                        return b""
                    self._member = zlib.decompressobj(_GZIP_FORMAT)
                piece = self._member.decompress(self._compressed, most_bytes)
                self._compressed = self._member.unconsumed_tail
                if piece:
                    return piece
                if not self._member.eof and not self._compressed:
                    raise DamagedBatchError("gzip: the data ends too early")
        except zlib.error as error:
            raise DamagedBatchError(f"gzip: {error}") from error


class _Blocks:
    """Codecs whose blocks are decompressed one by one, each whole."""

    def __init__(self, blocks: Iterator[bytes], held_bytes: int) -> None:
        self._blocks = blocks
        self.held_bytes = held_bytes

    def read(self, most_bytes: int) -> bytes:
        gathered: list[bytes] = []
        size_bytes = 0
        while size_bytes < most_bytes and (block := next(self._blocks, None)) is not None:
            gathered.append(block)
            size_bytes += len(block)
        return gathered[0] if len(gathered) == 1 else b"".join(gathered)


def _snappy_blocks(compressed: memoryview) -> Iterator[bytes]:
    """Blocks with their lengths, as Java writes them, or one block without a frame."""
    if compressed[: len(_XERIAL_HEADER)] != _XERIAL_HEADER:
        yield _snappy_block(compressed)
        return
    position = _XERIAL_HEADER_BYTES
    while position < len(compressed):
        (size_bytes,) = _integers(">i", compressed, position, "Snappy")
        position += 4
        yield _snappy_block(_cut(compressed, position, size_bytes, "Snappy"))
        position += size_bytes


def _snappy_block(block: memoryview) -> bytes:
    # A damaged block may claim any size; no true one is larger than that.
    if _run("Snappy", cramjam.snappy.decompress_raw_len, block) > _LARGEST_SNAPPY_RATIO * len(block) + 64:
        raise DamagedBatchError("Snappy: a block claims to be larger than it can be")
    return bytes(_run("Snappy", cramjam.snappy.decompress_raw, block))


def _lz4_block_bytes(compressed: memoryview) -> int:
    """The largest block of the first frame, as its header says."""
    return _LZ4_BLOCK_BYTES.get(compressed[5] >> 4 & 7, 0) if len(compressed) > 5 else 0


def _lz4_blocks(compressed: memoryview) -> Iterator[bytes]:
    """The blocks of LZ4 frames. Kafka allows only such as do not refer to one another."""
    position = 0
    while position < len(compressed):
        magic, flags, descriptor = _integers("<IBB", compressed, position, "LZ4")
        if magic & ~0xF == _LZ4_SKIPPABLE:
            (size_bytes,) = _integers("<I", compressed, position + 4, "LZ4")
            position += 8 + size_bytes
            continue
        if magic != _LZ4_MAGIC or flags >> 6 != 1 or descriptor >> 4 & 7 not in _LZ4_BLOCK_BYTES:
            raise DamagedBatchError("LZ4: no frame begins where one should")
        if not flags & 0x20:
            raise DamagedBatchError("LZ4: blocks that refer to one another, which Kafka does not allow")
        room = bytearray(_LZ4_BLOCK_BYTES[descriptor >> 4 & 7])
        position += 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
        while True:
            (size_bytes,) = _integers("<I", compressed, position, "LZ4")
            position += 4
            if not size_bytes:
                break
            plain, size_bytes = bool(size_bytes >> 31), size_bytes & 0x7FFFFFFF
            block = _cut(compressed, position, size_bytes, "LZ4")
            if plain:
                yield bytes(block)
            else:
                size = _run("LZ4", cramjam.lz4.decompress_block_into, block, room)
                yield bytes(memoryview(room)[:size])
            position += size_bytes + (4 if flags & 0x10 else 0)
        position += 4 if flags & 0x04 else 0


def _integers(form: str, compressed: memoryview, position: int, codec: str) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, compressed, position)
    except struct.error as error:
        raise DamagedBatchError(f"{codec}: the data ends too early") from error


def _cut(compressed: memoryview, position: int, size_bytes: int, codec: str) -> memoryview:
    if size_bytes < 0 or position + size_bytes > len(compressed):
        raise DamagedBatchError(f"{codec}: the data ends too early")
    return compressed[position : position + size_bytes]


def _run(codec: str, decompress: Callable[..., Any], *arguments: object) -> Any:
    try:
        return decompress(*arguments)
    except Exception as error:  # cramjam's own, of a class for each codec
        raise DamagedBatchError(f"{codec}: {error}") from error
