"""Unpacks what a producer packed, in pieces: gzip, Snappy, LZ4 frames and Zstandard, as in Kafka's batches.

Decides how each codec is read and what counts as damage; knows nothing of records. Invariants: the pieces,
put together, are what the client's own codecs would give at once; between two calls a stream holds no more
than ``held_bytes`` beside the packed bytes; a call brings no more than was asked for, or by one block more
where blocks can only be unpacked whole (LZ4: 4 MiB at most; Snappy: 32 KiB from Java, else the batch, which
is at most some 22 times as large as its packed form).
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


class DamagedError(Exception):
    """The packed bytes cannot be unpacked; the message says why, and quotes nothing."""


class Stream(Protocol):
    """Packed bytes on their way out."""

    held_bytes: int
    """What it may hold at most while it is not at its end, beside the packed bytes."""

    def read(self, most_bytes: int) -> bytes:
        """The next unpacked bytes, about ``most_bytes`` of them; none at the end. Raises DamagedError."""
        ...


def stream_of(codec: int, packed: memoryview) -> Stream:
    """A stream over what was packed by that codec. Raises DamagedError, as for a codec that is unknown."""
    if codec == ZSTD:
        return _Zstd(packed)
    if codec == GZIP:
        return _Gzip(packed)
    if codec == LZ4:
        return _Blocks(_lz4_blocks(packed), _lz4_block_bytes(packed))
    if codec == SNAPPY:
        return _Blocks(_snappy_blocks(packed), 0)
    raise DamagedError(f"unknown compression codec {codec}")


def unpack_into(codec: int, packed: memoryview, room: memoryview) -> int | None:
    """Unpack all into ``room``: how many bytes that is, None where it does not fit. Raises DamagedError."""
    if codec == ZSTD:  # most batches are small, and a stream's beginnings cost more than unpacking them
        try:
            return int(cramjam.zstd.decompress_into(packed, room))
        except cramjam.DecompressionError as error:
            if _DOES_NOT_FIT in str(error):
                return None
            raise DamagedError(f"Zstandard: {error}") from error
    stream = stream_of(codec, packed)
    size_bytes = 0
    while part := stream.read(len(room) - size_bytes + 1):
        if size_bytes + len(part) > len(room):
            return None
        room[size_bytes : size_bytes + len(part)] = part
        size_bytes += len(part)
    return size_bytes


class _Zstd:
    """Frames of Zstandard, one behind the other."""

    def __init__(self, packed: memoryview) -> None:
        self._packed: memoryview | bytes = packed
        self._frame: zstd.ZstdDecompressor | None = None
        self.held_bytes = zstd_window_bytes(packed)

    def read(self, most_bytes: int) -> bytes:
        try:
            while True:
                if self._frame is None:
                    if not self._packed:
                        return b""
                    self._frame = zstd.ZstdDecompressor()
                piece = self._frame.decompress(self._packed, most_bytes)
                self._packed = b""
                if self._frame.eof:
                    self._packed, self._frame = self._frame.unused_data, None
                elif not piece and self._frame.needs_input:
                    raise DamagedError("Zstandard: the data ends too early")
                if piece:
                    return piece
        except zstd.ZstdError as error:
            raise DamagedError(f"Zstandard: {error}") from error


def zstd_window_bytes(packed: memoryview) -> int:
    """How far back the first frame may refer, which is what unpacking it in pieces has to hold."""
    if len(packed) < 6:
        return 0
    if packed[4] & 0x20:  # a single segment: as large as its content, which it names
        try:
            return zstd.get_frame_info(packed[:18]).decompressed_size or 0
        except zstd.ZstdError:
            return 0  # found damaged when it is read
    exponent, mantissa = packed[5] >> 3, packed[5] & 7
    return int((1 << (10 + exponent)) * (8 + mantissa) // 8)


class _Gzip:
    """Members of gzip, one behind the other; zeros may follow the last."""

    def __init__(self, packed: memoryview) -> None:
        self._packed: memoryview | bytes = packed
        self._member = zlib.decompressobj(_GZIP_FORMAT)
        self.held_bytes = _GZIP_WINDOW_BYTES + len(packed)  # zlib gives back what it has not read as a copy

    def read(self, most_bytes: int) -> bytes:
        try:
            while True:
                if self._member.eof:
                    self._packed = self._member.unused_data.lstrip(b"\0")
                    if not self._packed:
                        return b""
                    self._member = zlib.decompressobj(_GZIP_FORMAT)
                piece = self._member.decompress(self._packed, most_bytes)
                self._packed = self._member.unconsumed_tail
                if piece:
                    return piece
                if not self._member.eof and not self._packed:
                    raise DamagedError("gzip: the data ends too early")
        except zlib.error as error:
            raise DamagedError(f"gzip: {error}") from error


class _Blocks:
    """Codecs whose blocks are unpacked one by one, each whole."""

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


def _snappy_blocks(packed: memoryview) -> Iterator[bytes]:
    """What Java writes (blocks with their lengths), or one block without any frame."""
    if packed[: len(_XERIAL_HEADER)] != _XERIAL_HEADER:
        yield _snappy_block(packed)
        return
    position = _XERIAL_HEADER_BYTES
    while position < len(packed):
        (size_bytes,) = _integers(">i", packed, position, "Snappy")
        position += 4
        yield _snappy_block(_cut(packed, position, size_bytes, "Snappy"))
        position += size_bytes


def _snappy_block(block: memoryview) -> bytes:
    # A damaged block may claim any size; no true one is larger than that.
    if _guarded("Snappy", cramjam.snappy.decompress_raw_len, block) > _LARGEST_SNAPPY_RATIO * len(block) + 64:
        raise DamagedError("Snappy: a block claims to be larger than it can be")
    return bytes(_guarded("Snappy", cramjam.snappy.decompress_raw, block))


def _lz4_block_bytes(packed: memoryview) -> int:
    """The largest block of the first frame, as its header says."""
    return _LZ4_BLOCK_BYTES.get(packed[5] >> 4 & 7, 0) if len(packed) > 5 else 0


def _lz4_blocks(packed: memoryview) -> Iterator[bytes]:
    """The blocks of LZ4 frames. Kafka allows only such as do not refer to one another."""
    position = 0
    while position < len(packed):
        magic, flags, descriptor = _integers("<IBB", packed, position, "LZ4")
        if magic & ~0xF == _LZ4_SKIPPABLE:
            (size_bytes,) = _integers("<I", packed, position + 4, "LZ4")
            position += 8 + size_bytes
            continue
        if magic != _LZ4_MAGIC or flags >> 6 != 1 or descriptor >> 4 & 7 not in _LZ4_BLOCK_BYTES:
            raise DamagedError("LZ4: no frame begins where one should")
        if not flags & 0x20:
            raise DamagedError("LZ4: blocks that refer to one another, which Kafka does not allow")
        room = bytearray(_LZ4_BLOCK_BYTES[descriptor >> 4 & 7])
        position += 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
        while True:
            (size_bytes,) = _integers("<I", packed, position, "LZ4")
            position += 4
            if not size_bytes:
                break
            plain, size_bytes = bool(size_bytes >> 31), size_bytes & 0x7FFFFFFF
            block = _cut(packed, position, size_bytes, "LZ4")
            if plain:
                yield bytes(block)
            else:
                unpacked = _guarded("LZ4", cramjam.lz4.decompress_block_into, block, room)
                yield bytes(memoryview(room)[:unpacked])
            position += size_bytes + (4 if flags & 0x10 else 0)
        position += 4 if flags & 0x04 else 0


def _integers(form: str, packed: memoryview, position: int, codec: str) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, packed, position)
    except struct.error as error:
        raise DamagedError(f"{codec}: the data ends too early") from error


def _cut(packed: memoryview, position: int, size_bytes: int, codec: str) -> memoryview:
    if size_bytes < 0 or position + size_bytes > len(packed):
        raise DamagedError(f"{codec}: the data ends too early")
    return packed[position : position + size_bytes]


def _guarded(codec: str, unpack: Callable[..., Any], *arguments: object) -> Any:
    try:
        return unpack(*arguments)
    except Exception as error:  # cramjam's own, of a class for each codec
        raise DamagedError(f"{codec}: {error}") from error
