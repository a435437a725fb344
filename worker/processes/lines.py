"""Many processes, one log: whole lines only, however long.

Writes to one pipe are torn beyond 4,096 bytes where several processes write, and stack traces are longer. So
the supervisor alone writes, what it is given line by line. The invariant: a line appears whole and in its
process's order; nothing of it is read or changed.
"""

import asyncio
from typing import BinaryIO

_CHUNK_BYTES = 65_536
LONGEST_BYTES = 1_048_576


class Lines:
    """Cuts a stream of bytes into whole lines. A line beyond ``LONGEST_BYTES`` is broken in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def whole(self, chunk: bytes) -> bytes:
        """The lines that ``chunk`` completes; what is behind them is kept."""
        lines, end, rest = chunk.rpartition(b"\n")
        if end:
            lines, self._rest = self._rest + lines + end, rest
        else:
            self._rest += rest
        if len(self._rest) >= LONGEST_BYTES:
            lines += self.last()
        return lines

    def last(self) -> bytes:
        """What was never ended, as a line of its own."""
        rest, self._rest = self._rest, b""
        return rest + b"\n" if rest else b""


async def copy_lines(source: asyncio.StreamReader, target: BinaryIO) -> None:
    """Until the source ends. Raises OSError where nobody reads the target any more."""
    lines = Lines()
    while chunk := await source.read(_CHUNK_BYTES):
        _write(target, lines.whole(chunk))
    _write(target, lines.last())


def _write(target: BinaryIO, lines: bytes) -> None:
    if lines:
        target.write(lines)
        target.flush()
