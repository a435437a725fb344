"""Reads a file by lines, plain or compressed, and never holds a line that is too long.

Decides what a line is, and how a damaged file is reported; knows nothing of what is on the lines. A file's
first bytes say whether it is gzip or Zstandard, else its name does. Invariants: every line is returned once,
in order, without its line break and the byte order marks at its front (concatenated files have them in the
middle); memory grows neither with the file nor with a line, but for the window of a Zstandard file: at most
8 MiB by default, up to 2 GiB where it was made with ``--long=31``.
"""

import hashlib
import io
import select
import stat
import sys
import zlib
from collections.abc import Iterator
from gzip import GzipFile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self, cast

from worker.errors import Fatal

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BLOCK_BYTES = 256 * 1024
_TURN_MS = 200
# A skippable frame, one of sixteen, may come first: pzstd and the seekable format write such.
_SKIPPABLE = {b"%c\x2a\x4d\x18" % first: "Zstandard" for first in range(0x50, 0x60)}
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "Zstandard", **_SKIPPABLE}
_MAGIC_BYTES = 4
_SUFFIXES = {".gz": "gzip", ".zst": "Zstandard"}
_BOM = b"\xef\xbb\xbf"
# By default the library refuses files of --long=28 and more, with a text that sounds like damage.
_, _GREATEST_WINDOW_LOG = zstd.DecompressionParameter.window_log_max.bounds()
_ZSTD_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _GREATEST_WINDOW_LOG}
_NOT_DAMAGED = {
    "requires too much memory": f"its window is over 2^{_GREATEST_WINDOW_LOG} bytes, the most that can be"
    f" decompressed: compress it again with at most --long={_GREATEST_WINDOW_LOG}",
    "not enough memory": "there is not enough memory for the window it was compressed with, up to 2 GiB:"
    " give more, or compress it again without --long",
    "Dictionary mismatch": "it was compressed with a dictionary: decompress it first, with zstd -d -D",
}
"""Texts of the library for Zstandard files that are whole and cannot be read; what they mean."""


class Line(NamedTuple):
    """A line. Of one over the limit ``text`` is the beginning, ``sha256`` that of the whole line."""

    text: bytes
    size_bytes: int
    sha256: str | None = None


class LineFile:
    """One file, read by lines.

    Of a line over ``most_bytes`` at most ``kept_bytes`` are kept. Use it as a context. Raises OSError where
    it cannot be opened.
    """

    def __init__(self, path: Path, most_bytes: int, kept_bytes: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._kept_bytes = kept_bytes
        self._raw: io.BufferedReader = io.BufferedReader(_WholeHead(path), _BLOCK_BYTES)
        self._regular = stat.S_ISREG(path.stat().st_mode)
        self._lines = 0

    @property
    def position_bytes(self) -> int:
        """How many bytes of the file, compressed or not, have been read; 0 where it is a pipe."""
        return self._raw.tell() if self._regular else 0

    def __iter__(self) -> Iterator[Line]:
        """The lines. Raises Fatal where the file is damaged or cannot be read on."""
        codec = None
        try:
            codec = self._codec()
            stream = self._decompressed(codec)
            while text := self._line_start(stream):
                if text[-1:] == b"\n":
                    line = Line(text[:-1], len(text) - 1)
                elif len(text) <= self._most_bytes:
                    line = Line(text, len(text))
                else:
                    line = self._too_long(text, stream)
                self._lines += 1
                yield line
        except EOFError as error:
            raise Fatal(self._fault(f"the {codec} data ends too early: the file was cut off")) from error
        except (OSError, zlib.error, zstd.ZstdError) as error:
            raise Fatal(self._fault(_what_is_wrong(codec, str(error)))) from error

    def _codec(self) -> str | None:
        head = self._raw.peek(_MAGIC_BYTES)
        by_magic = (codec for magic, codec in _MAGIC.items() if head.startswith(magic))
        return next(by_magic, None) or _SUFFIXES.get(self._path.suffix.lower())

    def _decompressed(self, codec: str | None) -> io.BufferedReader:
        if codec is None:
            return self._raw
        decompressing: GzipFile | zstd.ZstdFile
        if codec == "gzip":
            decompressing = GzipFile(fileobj=self._raw, mode="rb")
        else:
            decompressing = zstd.ZstdFile(self._raw, options=_ZSTD_OPTIONS)
        return io.BufferedReader(cast("io.RawIOBase", decompressing), _BLOCK_BYTES)

    def _line_start(self, stream: io.BufferedReader) -> bytes:
        """The next line, of a longer one a byte more than is allowed; empty at the end of the file."""
        most_bytes = self._most_bytes + 1
        text = stream.readline(most_bytes)
        while text.startswith(_BOM):
            text = text.removeprefix(_BOM)
            if not text.endswith(b"\n"):
                text += stream.readline(most_bytes - len(text))
        return text

    def _too_long(self, start: bytes, stream: io.BufferedReader) -> Line:
        """Read on to the end of the line, keeping nothing but its beginning."""
        digest = hashlib.sha256(start)
        size_bytes = len(start)
        ended = False
        while not ended and (part := stream.readline(_BLOCK_BYTES)):
            ended = part[-1:] == b"\n"
            content = part[:-1] if ended else part
            digest.update(content)
            size_bytes += len(content)
        return Line(start[: self._kept_bytes], size_bytes, digest.hexdigest())

    def _fault(self, what: str) -> str:
        place = f"after line {self._lines:,}"
        if self._regular:
            place += f", near byte {self.position_bytes:,} of {self._path.stat().st_size:,}"
        return f"{self._path}: {place}: {what}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()


class _WholeHead(io.FileIO):
    """A file whose first read returns a whole magic number: a pipe may give it byte by byte.

    It waits for a pipe in short turns: a signal that comes just before a read blocks is noticed after one.
    """

    def readinto(self, buffer: "WriteableBuffer") -> int:
        count = total = self._next_bytes(buffer)
        while count and total < _MAGIC_BYTES:
            count = self._next_bytes(memoryview(buffer)[total:])
            total += count
        return total

    def _next_bytes(self, buffer: "WriteableBuffer") -> int:
        readable = select.poll()
        readable.register(self, select.POLLIN)
        while not readable.poll(_TURN_MS):
            pass
        return super().readinto(buffer)


def _what_is_wrong(codec: str | None, error: str) -> str:
    if codec is None:
        return f"it cannot be read on: {error}"
    if codec == "Zstandard":
        for words, meaning in _NOT_DAMAGED.items():
            if words in error:
                return f"the Zstandard data cannot be decompressed: {meaning}"
    return f"the {codec} data is damaged: {error}"
