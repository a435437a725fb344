"""Many processes, one log: whole lines only, however long.

Writes to one pipe are torn beyond 4,096 bytes where several processes write, and stack traces are longer. So
the supervisor alone writes, what it is given line by line. The invariant: a line appears whole and in its
process's order; nothing of it is read or changed. A log that cannot be written stops no process.
"""

import asyncio
from typing import BinaryIO

from worker import telemetry

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


class LineTarget:
    """Where whole lines go. A full disk loses lines and stops nothing, as in ``log_output``."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.lost = 0
        """Lines that could not be written since one could."""

    def write(self, lines: bytes) -> None:
        """Write them at once, or count them. Raises BrokenPipeError where nobody reads any more."""
        if not lines:
            return
        try:
            self._stream.write(lines)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError:
            self.lost += lines.count(b"\n")
            return
        if self.lost:
            lost, self.lost = self.lost, 0
            telemetry.emit(telemetry.LogLinesLost(lines=lost))


async def copy_lines(source: asyncio.StreamReader, target: LineTarget) -> None:
    """Until the source ends. Raises BrokenPipeError where nobody reads the target any more."""
    lines = Lines()
    while chunk := await source.read(_CHUNK_BYTES):
        target.write(lines.whole(chunk))
    target.write(lines.last())
