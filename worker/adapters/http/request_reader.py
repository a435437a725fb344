"""Turns the bytes of one connection into whole requests, and refuses what two readers could read differently.

Decides where a request begins and ends, and which framing is unambiguous. llhttp reads the bytes; what it
lets through and this refuses has a comment. It must not know sockets, clocks or applications. Invariants: a
request comes out whole and within the limits; no byte behind a refused one is read.
"""

import re
from typing import Final

import httptools

from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.request_heads import END_OF_HEAD as _END
from worker.adapters.http.request_heads import Head, KnownHeads, path_and_query

_LINE = b"\r\n"
_WATCHED: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))
_OFFERS: Final = frozenset((b"upgrade", b"http2-settings"))
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+;=%:\[\]-]*")
_MOST_CUTS = 1_000


class Refused(Exception):  # noqa: N818 - an outcome of reading, no error of this program
    """A request gets no further. ``status`` and ``reason`` are for its sender, then the connection ends."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Request:
    """A whole request. ``is_last``: nothing behind it is answered, or what follows is not known."""

    __slots__ = ("body", "head", "is_last")

    def __init__(self, head: Head, body: bytes = b"") -> None:
        self.head = head
        self.body = body
        self.is_last = head.is_last


class RequestReader:
    """Reads one connection's requests. ``feed`` it what arrives; ``take`` a request as soon as it is whole.

    ``began``: a request was begun and is not whole. ``body_bytes``: how much of its body is held here.
    ``wants_continue``: its sender waits for ``100 Continue`` before it sends the body.
    """

    __slots__ = (
        *("_at_end", "_chunks", "_cuts", "_framing_bytes", "_head", "_headers", "_is_chunked", "_is_overrun"),
        *(
            "_is_known",
            "_is_upgrade",
            "_known",
            "_limits",
            "_more",
            "_parser",
            "_reason",
            "_remaining",
            "_request",
            "_tail",
        ),
        *("_trailer_count", "_url", "_watched", "_whole", "began", "body_bytes", "wants_continue"),
    )

    def __init__(self, limits: HttpLimits, known: KnownHeads) -> None:
        self._limits = limits
        self._known = known
        self._whole: Request | None = None
        self._reset()
        self._parser = httptools.HttpRequestParser(self)

    def _reset(self) -> None:
        self._request: Request | None = None
        self._reason: Refused | None = None
        self._head: bytes = b""
        self._tail = b""
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._watched: dict[bytes, list[bytes]] | None = None
        self._more: bytearray | None = None
        self._remaining = 0
        self._is_chunked = False
        self._is_known = False
        self._is_upgrade = False
        self._is_overrun = False
        self._at_end = False
        self._chunks = 0
        self._cuts = 0
        self._framing_bytes = 0
        self._trailer_count = 0
        self.began = False
        self.body_bytes = 0
        self.wants_continue = False

    @property
    def in_body(self) -> bool:
        """Whether the head was read and the body is being read."""
        return self._request is not None

    def close(self) -> None:
        """Free the parser, which refers back to this reader."""
        del self._parser

    def take(self) -> Request | None:
        """The request that has become whole, once."""
        whole, self._whole = self._whole, None
        return whole

    def skips(self, data: bytes) -> bool:
        """Whether ``data`` is the empty line that old clients send behind a body, which begins no request.

        It counts as the one empty line that may stand in front of the next.
        """
        if data != _LINE or self._head:
            return False
        self._head = self._tail = data
        return True

    def feed(self, data: bytes, at: int) -> int:
        """Read ``data`` from ``at`` on, up to the end of a request at most; where to go on.

        Raises Refused. After a request with ``is_last``, and after Refused, feed no more.
        """
        self.began = True
        if self._request is None:
            if not self._head and (end := self._read_known(data, at)):
                return end
            return self._read_head(data, at)
        if self._is_chunked:
            return self._read_chunks(data, at)
        end = min(len(data), at + self._remaining)
        self._remaining -= end - at
        if not self._is_known:
            self._parse(data, at, end)
        elif end > at:
            self.on_body(data[at:end])
            if not self._remaining:
                self.on_message_complete()
        return end

    def _read_known(self, data: bytes, at: int) -> int:
        """Read a request whose head is known, its body as far as it is there; 0: its head is not known.

        The parser sees nothing of it, which takes a third of the time.
        """
        found = self._known.find(data, at)
        if found is None:
            return 0
        head, start, length = found
        if length > self._limits.max_body_bytes:
            return 0
        end = start + length
        if end <= len(data):
            self._whole = Request(head, data[start:end])
            self.began = False
            return end
        self._request = Request(head)
        self._remaining = length
        self._is_known = True
        return start

    def _read_head(self, data: bytes, at: int) -> int:
        end = self._cut(data, at)
        limits = self._limits
        most = limits.max_url_bytes + limits.max_headers_bytes + 64  # 64: method, version, white space
        is_too_long = len(self._head) + end - at > most
        if is_too_long:
            end = at + most - len(self._head)
        piece = data if at == 0 and end == len(data) else data[at:end]
        self._head = self._head + piece if self._head else piece
        self._parse(piece, 0, len(piece))
        if self._is_upgrade:
            self._read_without_upgrade()
        if self._request is None and self._whole is None:
            if is_too_long:
                raise Refused(431, "headers_too_large")
            if self._at_end:  # an empty line in front of a request: one is usual, more are a flood
                raise Refused(400, "bad_request")
        return end

    def _read_without_upgrade(self) -> None:
        """Read the head again without its offer of another protocol, as a server that has no other may.

        Java's client offers h2c with every first request; llhttp ends at such a head, and what follows is the
        body all the same.
        """
        method = self._parser.get_method()
        version = self._check_request_line(method)
        lines = [b"%b %b HTTP/%b" % (method, self._url, version.encode())]
        lines += [b"%b: %b" % pair for pair in self._headers if pair[0] not in _OFFERS]
        head = b"\r\n".join(lines) + _END
        self._reset()
        self.began = self._at_end = True
        self._head = head
        self._parser = httptools.HttpRequestParser(self)
        self._parse(head, 0, len(head))

    def _read_chunks(self, data: bytes, at: int) -> int:
        end = self._cut(data, at)
        self._cuts += 1
        if self._cuts > _MOST_CUTS:  # a body full of empty lines: in one go, instead of line by line
            end = len(data)
        self._framing_bytes += end - at
        before = self.body_bytes
        self._parse(data, at, end)
        if self._whole is None:
            self._framing_bytes -= self.body_bytes - before
            if self._framing_bytes > self._limits.max_framing_bytes:
                raise Refused(413, "too_large")
        return end

    def _cut(self, data: bytes, at: int) -> int:
        """Behind the next empty line, where a head or a chunked body may end; else the end of the data."""
        self._at_end = True
        if self._tail:
            found = (self._tail + data[at : at + 3]).find(_END)
            if found >= 0:
                end = at + found + len(_END) - len(self._tail)
                self._tail = b""
                return end
        found = data.find(_END, at)
        if found >= 0:
            self._tail = b""
            return found + len(_END)
        self._at_end = False
        self._tail = (self._tail + data[max(at, len(data) - 3) :])[-3:]
        return len(data)

    def _parse(self, data: bytes, start: int, end: int) -> None:
        try:
            self._parser.feed_data(data if start == 0 and end == len(data) else data[start:end])
        except httptools.HttpParserUpgrade:
            if not self._is_upgrade:
                raise Refused(400, "bad_request") from None
        except httptools.HttpParserError:
            if self._is_overrun:  # more was read than this request: it is good, what follows is not known
                assert self._whole is not None
                self._whole.is_last = True
                return
            raise self._reason or Refused(400, "bad_request") from None

    def _refuse(self, status: int, reason: str) -> Refused:
        self._reason = Refused(status, reason)
        return self._reason

    # What the parser calls. What is raised here, it gives back as an error of its own.

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._whole is not None:
            self._is_overrun = True
            raise Refused(400, "bad_request")

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url
        if len(self._url) > self._limits.max_url_bytes:
            raise self._refuse(414, "uri_too_long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or behind the body a trailer, which is counted and never merged into the headers."""
        if self._request is not None:
            self._trailer_count += 1
            if self._trailer_count > self._limits.max_headers:
                raise self._refuse(431, "headers_too_large")
            return
        name = name.lower()
        if value and value[-1] <= 32:  # llhttp leaves white space behind a value
            value = value.rstrip(b" \t")
        self._headers.append((name, value))
        if name in _WATCHED:
            if self._watched is None:
                self._watched = {}
            self._watched.setdefault(name, []).append(value)

    def on_headers_complete(self) -> None:
        """The head is whole: decide whether it may be answered, and how its body is framed."""
        parser = self._parser
        method = parser.get_method()
        if parser.should_upgrade():
            if method == b"CONNECT" or not self._at_end:
                raise self._refuse(400, "bad_request")
            self._is_upgrade = True
            return
        if len(self._headers) > self._limits.max_headers:
            raise self._refuse(431, "headers_too_large")
        version = self._check_request_line(method)
        if not self._at_end:  # an end of the head that is not ours: other readers would not see it either
            raise self._refuse(400, "bad_request")
        target = path_and_query(self._url)
        if target is None:
            raise self._refuse(400, "bad_request")
        self._check_framing(version)
        is_last = not parser.should_keep_alive() or (version == "1.0" and self._says_close())
        watched = self._watched or {}
        (length,) = watched.get(b"content-length") or (None,)
        head = Head(method.decode("ascii"), target, version, self._headers, length=length, is_last=is_last)
        if not (self._is_chunked or b"expect" in watched or self._head.startswith(_LINE)):
            self._known.add(self._head, head, has_length=length is not None)
        self._request = Request(head)

    def _says_close(self) -> bool:
        """llhttp lets keep-alive win over close in HTTP/1.0."""
        lines = [value.lower() for name, value in self._headers if name == b"connection"]
        return any(token.strip() == b"close" for line in lines for token in line.split(b","))

    def _check_request_line(self, method: bytes) -> str:
        """llhttp takes several spaces, HTTP/0.9, HTTP/2.0 and other protocols; the version that it is."""
        head, start = self._head, 0
        if head.startswith(_LINE):
            start = 2
        line = b"%b %b HTTP/1." % (method, self._url)
        version = head[start + len(line) : start + len(line) + 3]
        if not head.startswith(line, start) or version not in (b"1\r\n", b"0\r\n"):
            raise self._refuse(400, "bad_request")
        if len(head) - start - len(line) - 3 > self._limits.max_headers_bytes:
            raise self._refuse(431, "headers_too_large")
        return "1.1" if version == b"1\r\n" else "1.0"

    def _check_framing(self, version: str) -> None:
        watched = self._watched or {}
        hosts = watched.get(b"host", ())
        if len(hosts) != 1 and (hosts or version == "1.1"):
            raise self._refuse(400, "bad_request")
        if hosts and _HOST.fullmatch(hosts[0]) is None:
            raise self._refuse(400, "bad_request")
        if len(watched) == len(hosts):
            return
        codings = watched.get(b"transfer-encoding", ())
        lengths = watched.get(b"content-length", ())
        if codings:
            # llhttp takes "gzip, chunked", and it takes chunks in HTTP/1.0, which has none.
            if lengths or len(codings) > 1 or codings[0].lower() != b"chunked" or version == "1.0":
                raise self._refuse(400, "bad_request")
            self._is_chunked = True
        if lengths:
            if len(lengths) > 1 or not lengths[0].isdigit():
                raise self._refuse(400, "bad_request")
            self._remaining = int(lengths[0])
            if self._remaining > self._limits.max_body_bytes:
                raise self._refuse(413, "too_large")
        expected = watched.get(b"expect", ())
        if expected and version == "1.1":  # HTTP/1.0 has no interim answers: it is ignored there
            if len(expected) > 1 or expected[0].lower() != b"100-continue":
                raise self._refuse(417, "expectation_failed")
            self.wants_continue = self._is_chunked or self._remaining > 0

    def on_body(self, body: bytes) -> None:
        """A piece of the body. One piece is kept as it is, several are put together in one buffer."""
        request = self._request
        assert request is not None
        self.wants_continue = False
        self.body_bytes += len(body)
        if self.body_bytes > self._limits.max_body_bytes:
            raise self._refuse(413, "too_large")
        if self._more is not None:
            self._more += body
        elif request.body:
            self._more = bytearray(request.body)
            self._more += body
            request.body = b""
        else:
            request.body = body

    def on_chunk_header(self) -> None:
        """Another chunk: their number is bounded, since each costs time whatever its size."""
        self._chunks += 1
        if self._chunks > self._limits.max_chunks:
            raise self._refuse(413, "too_large")

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._is_upgrade:
            return
        request = self._request
        assert request is not None
        if self._more is not None:
            request.body = bytes(self._more)
        self._reset()
        self._whole = request
