"""The bytes in front of an answer's body.

Decides the status line, and which headers the server adds: Date, Content-Length or chunks, Connection. It
must not know connections. Invariants: no header of an application can end the head, and no answer names the
server.
"""

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

Headers = Iterable[tuple[bytes, bytes]]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class ResponseHead:
    """Status and headers of one answer, checked. ``length``: the Content-Length that the application gave."""

    __slots__ = ("_lines", "_status", "is_last", "length")

    def __init__(self, status: int, headers: Headers) -> None:
        """ValueError where a header holds what would end a line, or is one of the server's."""
        self._status = status
        self.length: int | None = None
        self.is_last = False
        lines = []
        for name, value in headers:
            if name in _OWN:
                self._note(name, value)
            else:
                lines.append(b"%b: %b\r\n" % (name, value))
        block = b"".join(lines)
        if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines):
            raise ValueError("a header of the answer holds an end of line")
        self._lines = block

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self.length = int(value)
        elif name == b"connection":
            self.is_last = self.is_last or b"close" in value.lower()

    @property
    def has_body(self) -> bool:
        """Whether an answer of this status may have a body."""
        return self._status >= 200 and self._status not in (204, 304)

    def bytes(self, date: bytes, framing: bytes) -> bytes:
        """The head. ``date`` and ``framing`` are whole lines."""
        status = _STATUS.get(self._status) or b"HTTP/1.1 %d \r\n" % self._status
        return b"%b%b%b%b\r\n" % (status, date, self._lines, framing)


@lru_cache(256)
def shared_head(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> ResponseHead:
    """The same, made once for all answers with these headers; those of a single answer do not belong here."""
    return ResponseHead(status, headers)


_OWN = frozenset((b"content-length", b"connection", b"transfer-encoding", b"server", b"date"))
