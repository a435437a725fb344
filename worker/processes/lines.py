"""One log for several processes: only whole lines are written, however long.

Where several processes write to one pipe, the system splits writes beyond 4,096 bytes, and stack traces are
longer. So only the supervisor writes. Knows nothing of what the lines say. The invariant: a line appears
whole, unchanged and in its process's order; a log that cannot be written stops no process.
"""

import asyncio
from typing import BinaryIO

from worker import telemetry

_CHUNK_BYTES = 65_536
MAX_LINE_BYTES = 1_048_576


class Lines:
    """Cuts a stream of bytes into whole lines. A line beyond ``MAX_LINE_BYTES`` is cut into several."""

    def __init__(self) -> None:
        self._rest = b""

    def whole(self, chunk: bytes) -> bytes:
        """The lines that ``chunk`` completes. The rest is kept for the next chunk."""
        lines, end, rest = chunk.rpartition(b"\n")
        if end:
            lines, self._rest = self._rest + lines + end, rest
        else:
            self._rest += rest
        if len(self._rest) >= MAX_LINE_BYTES:
            lines += self.last()
        return lines

    def last(self) -> bytes:
        """The rest, which has no line end, as a line."""
        rest, self._rest = self._rest, b""
        return rest + b"\n" if rest else b""


class LineTarget:
    """A stream for whole lines. A full disk loses lines and stops no process, as in ``log_output``."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.lost = 0
        """Lines that could not be written since the last one that was."""

    def write(self, lines: bytes) -> None:
        """Write them at once, or count them as lost. Raises BrokenPipeError where the reader has gone."""
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
    """Copy until the source ends. Raises BrokenPipeError where the target's reader has gone."""
    lines = Lines()
    while chunk := await source.read(_CHUNK_BYTES):
        target.write(lines.whole(chunk))
    target.write(lines.last())
