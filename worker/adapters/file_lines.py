"""Reads a file by lines, whatever it is packed with, and never holds a line that is too long.

Decides what a line is and how a damaged file is told; knows nothing of what is on the lines. A file's first
bytes say whether it is gzip or Zstandard, else its name does. Invariants: every line is returned once, in
order, without its line break; memory grows neither with the file nor with a line.
"""

import hashlib
import io
import stat
import sys
import zlib
from collections.abc import Iterator
from gzip import GzipFile
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, cast

from worker.errors import Fatal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BLOCK_BYTES = 256 * 1024
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "Zstandard"}
_SUFFIXES = {".gz": "gzip", ".zst": "Zstandard"}
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line. Of one over the limit ``text`` is the beginning, and ``sha256`` that of all of it."""

    text: bytes
    size_bytes: int
    sha256: str | None = None


class LineFile:
    """One file, open for reading by lines of at most ``most_bytes``; of a longer one at most ``kept_bytes``
    are kept.

    Use it as a context. Raises OSError where it cannot be opened.
    """

    def __init__(self, path: Path, most_bytes: int, kept_bytes: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._kept_bytes = kept_bytes
        self._raw: io.BufferedReader = io.BufferedReader(io.FileIO(path), _BLOCK_BYTES)
        self._regular = stat.S_ISREG(path.stat().st_mode)
        self._lines = 0

    @property
    def position_bytes(self) -> int:
        """How much of the file, as it lies there, has been read; 0 where it is a pipe."""
        return self._raw.tell() if self._regular else 0

    def __iter__(self) -> Iterator[Line]:
        """The lines. Raises Fatal where the file is damaged or cannot be read on."""
        packing = None
        try:
            packing = self._packing()
            stream = self._unpacked(packing)
            if stream.peek(3).startswith(_BOM):
                stream.read(3)
            while text := stream.readline(self._most_bytes + 1):
                if text[-1:] == b"\n":
                    line = Line(text[:-1], len(text) - 1)
                elif len(text) <= self._most_bytes:
                    line = Line(text, len(text))
                else:
                    line = self._too_long(text, stream)
                self._lines += 1
                yield line
        except EOFError as error:
            raise Fatal(self._fault(f"the {packing} data ends too early: the file was cut off")) from error
        except (OSError, zlib.error, zstd.ZstdError) as error:
            what = f"the {packing} data is damaged" if packing else "it cannot be read on"
            raise Fatal(self._fault(f"{what}: {error}")) from error

    def _packing(self) -> str | None:
        head = self._raw.peek(4)
        by_magic = (packing for magic, packing in _MAGIC.items() if head.startswith(magic))
        return next(by_magic, None) or _SUFFIXES.get(self._path.suffix.lower())

    def _unpacked(self, packing: str | None) -> io.BufferedReader:
        if packing is None:
            return self._raw
        unpacking = GzipFile(fileobj=self._raw, mode="rb") if packing == "gzip" else zstd.ZstdFile(self._raw)
        return io.BufferedReader(cast("io.RawIOBase", unpacking), _BLOCK_BYTES)

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
