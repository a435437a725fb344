"""What the HTTP server refuses, one row a rule, on a real socket: answered, closed, kept from applications.

The other table has what looks odd and is taken, since a client that is used does so.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from tests.contract.http_peer import CLOSE, LOOPS, Echo, Running, get, one_answer, post, request, served
from worker.adapters.http.connections import Connections, plain_refusal
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.protocol import HttpProtocol

CHUNKED = "Transfer-Encoding: chunked"
LIMITS = HttpLimits(
    max_body_bytes=1_000,
    max_url_bytes=100,
    max_headers_bytes=400,
    max_headers=8,
    max_chunks=10,
    max_framing_bytes=500,
)


def chunked(body: bytes, *headers: str) -> bytes:
    """A POST with this as its body, chunks and all."""
    return request("POST", "/", CHUNKED, *headers) + body


HOSTILE: dict[str, tuple[int, bytes]] = {
    # Two readers could see two bodies.
    "Content-Length and chunks": (400, chunked(b"3\r\nabc\r\n0\r\n\r\n", "Content-Length: 3")),
    "chunks and Content-Length": (400, request("POST", "/", "Content-Length: 3", CHUNKED) + b"0\r\n\r\n"),
    "two Content-Length": (400, post(b"abc", "Content-Length: 5")),
    "the same Content-Length twice": (400, post(b"abc", "Content-Length: 3")),
    "a list as Content-Length": (400, request("POST", "/", "Content-Length: 3, 3") + b"abc"),
    "a sign in Content-Length": (400, request("POST", "/", "Content-Length: +3") + b"abc"),
    "a negative Content-Length": (400, request("POST", "/", "Content-Length: -3") + b"abc"),
    "a hexadecimal Content-Length": (400, request("POST", "/", "Content-Length: 0x3") + b"abc"),
    "a blank inside Content-Length": (400, request("POST", "/", "Content-Length: 3 3") + b"abc"),
    "an empty Content-Length": (400, request("POST", "/", "Content-Length: ") + b"abc"),
    "a Content-Length of 2^64 + 3": (
        400,
        request("POST", "/", "Content-Length: 18446744073709551619") + b"abc",
    ),
    "gzip, chunked": (400, request("POST", "/", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"),
    "chunked, identity": (400, request("POST", "/", "Transfer-Encoding: chunked, identity") + b"0\r\n\r\n"),
    "identity": (400, request("POST", "/", "Transfer-Encoding: identity") + b"0\r\n\r\n"),
    "chunked twice": (400, chunked(b"0\r\n\r\n", CHUNKED)),
    "chunked, twice in a list": (
        400,
        request("POST", "/", "Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n",
    ),
    "xchunked": (400, request("POST", "/", "Transfer-Encoding: xchunked") + b"0\r\n\r\n"),
    "quoted chunked": (400, request("POST", "/", 'Transfer-Encoding: "chunked"') + b"0\r\n\r\n"),
    "chunked behind a vertical tab": (
        400,
        request("POST", "/", "Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n",
    ),
    "an empty Transfer-Encoding": (400, request("POST", "/", "Transfer-Encoding:") + b"0\r\n\r\n"),
    "chunks in HTTP/1.0": (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a space before the colon": (400, request("POST", "/", "Content-Length : 3") + b"abc"),
    "a tab before the colon": (400, request("POST", "/", "Transfer-Encoding\t: chunked") + b"0\r\n\r\n"),
    # Chunks.
    "a negative chunk": (400, chunked(b"-1\r\na\r\n0\r\n\r\n")),
    "a chunk of 0x1": (400, chunked(b"0x1\r\na\r\n0\r\n\r\n")),
    "a chunk size with a blank": (400, chunked(b"1 \r\na\r\n0\r\n\r\n")),
    "an empty chunk size": (400, chunked(b"\r\na\r\n0\r\n\r\n")),
    "a chunk size of 2^64 + 1": (400, chunked(b"10000000000000001\r\na\r\n0\r\n\r\n")),
    "a chunk longer than its size": (400, chunked(b"1\r\nab\r\n0\r\n\r\n")),
    "a bare LF behind a chunk size": (400, chunked(b"1\na\r\n0\r\n\r\n")),
    "a bare LF behind a chunk": (400, chunked(b"1\r\na\n0\r\n\r\n")),
    "a bare LF in a chunk extension": (400, chunked(b"1;a\nb\r\na\r\n0\r\n\r\n")),
    "a Content-Length as a trailer": (400, chunked(b"0\r\nContent-Length: 5\r\n\r\n")),
    "chunk extensions without end": (413, chunked(b"1;" + b"a" * 600)),
    "many chunks": (413, chunked(b"1\r\na\r\n" * 11)),
    "trailers without end": (431, chunked(b"0\r\n" + b"a: b\r\n" * 90)),
    "many trailers": (431, chunked(b"0\r\n" + b"a: b\r\n" * 9 + b"\r\n")),
    "a long trailer": (413, chunked(b"0\r\na: " + b"b" * 600)),
    # Lines.
    "bare LF": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "bare LF behind a header": (400, b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    "bare LF at the end of the head": (400, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    "bare CR in a header": (400, get("/", "X: a\rb")),
    "a folded header": (400, get("/", "X: a", " b")),
    "a header that begins with a blank": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "NUL in a header's value": (400, get("/", "X: a\0b")),
    "NUL in a header's name": (400, get("/", "X\0: a")),
    "a control character in a header": (400, get("/", "X: \x01")),
    "a header without a name": (400, get("/", ": a")),
    "a header without a colon": (400, get("/", "abc")),
    "a header's name with a blank": (400, get("/", "a b: c")),
    "a header's name that is not ASCII": (400, get("/", "\xe4: c")),
    "empty lines in front of a request": (400, b"\r\n\r\n" + get()),
    "no request at all": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100),
    # The request line.
    "HTTP/1.9": (400, b"GET / HTTP/1.9\r\nHost: a\r\n\r\n"),
    "HTTP/0.9": (400, b"GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    "HTTP/0.9 without a version": (400, b"GET /\r\n\r\n"),
    "HTTP/2.0": (400, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    "HTTP/2 as it begins": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/1.01": (400, b"GET / HTTP/1.01\r\nHost: a\r\n\r\n"),
    "http/1.1 in small letters": (400, b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    "ICE": (400, b"SOURCE / ICE/1.0\r\nHost: a\r\n\r\n"),
    "RTSP": (400, b"DESCRIBE / RTSP/1.0\r\nHost: a\r\n\r\n"),
    "CONNECT": (400, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "an unknown method": (400, b"FETCH / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a method in small letters": (400, b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "two blanks in front of the target": (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "two blanks behind the target": (400, b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a blank behind the version": (400, b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    "a blank in the target": (400, get("/a b")),
    "a tab in the target": (400, get("/a\tb")),
    "NUL in the target": (400, get("/a\0b")),
    "a target that is not ASCII": (400, get("/\xe4")),
    "a fragment": (400, get("/a#b")),
    "a target that is no path": (400, get("a")),
    "a target of another scheme": (400, get("ftp://a/b")),
    "a target with a scheme and no host": (400, get("http:///b")),
    # Host.
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, get("/", "Host: b.example")),
    "the same Host twice": (400, get("/", "Host: a.example")),
    "two Hosts in HTTP/1.0": (400, b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    "a Host with a path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "a Host with a user": (400, b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    "a list of Hosts": (400, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    # Sizes.
    "a body over the limit, declared": (413, request("POST", "/", "Content-Length: 1001")),
    "a body over the limit, chunked": (413, chunked(b"3e9\r\n" + b"a" * 1001)),
    "a chunk over the limit, of which nothing came": (413, chunked(b"3e8\r\n" + b"a" * 1000 + b"\r\n1\r\na")),
    "a long target": (414, get("/" + "a" * 100)),
    "a long target without end": (414, b"GET /" + b"a" * 600),
    "a long query": (414, get("/?" + "a" * 100)),
    "many headers": (431, get("/", *["a: b"] * 8)),
    "long headers": (431, get("/", *["a: " + "b" * 100] * 4)),
    "a header without end": (431, get()[:-2] + b"a: " + b"b" * 600),
    "a header's name without end": (431, get()[:-2] + b"b" * 600),
    # Expectations.
    "an unknown expectation": (417, post(b"abc", "Expect: 200-ok")),
    "two expectations": (417, post(b"abc", "Expect: 100-continue", "Expect: 100-continue")),
    "a body over the limit, announced": (
        413,
        request("POST", "/", "Content-Length: 1001", "Expect: 100-continue"),
    ),
}

REASONS = {
    400: "bad_request",
    413: "too_large",
    414: "uri_too_long",
    417: "expectation_failed",
    431: "headers_too_large",
}


@pytest.fixture(autouse=True)
def no_complaints_of_asyncio() -> None:
    """Not here: collecting the garbage takes longer than a row."""


@pytest.fixture(scope="module")
def both() -> Iterator[dict[str, tuple[Running, Echo]]]:
    with contextlib.ExitStack() as stack:
        found = {}
        for loop in LOOPS:
            application = Echo()
            found[loop] = stack.enter_context(served(application, limits=LIMITS, loop=loop)), application
        yield found
        assert not [failure for server, _ in found.values() for failure in server.failures]


@pytest.fixture(params=LOOPS)
def running(request: pytest.FixtureRequest, both: dict[str, tuple[Running, Echo]]) -> tuple[Running, Echo]:
    """A server on each event loop, kept for the whole table."""
    return both[request.param]


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_and_never_reaches_the_application(name: str, running: tuple[Running, Echo]) -> None:
    server, application = running
    status, data = HOSTILE[name]
    before = len(application.seen)
    (answer,) = server.ask(data)
    assert (answer.status, answer.json) == (status, {"error": REASONS[status]})
    assert answer.headers["connection"] == "close"
    assert len(application.seen) == before


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_byte_by_byte_too(name: str, running: tuple[Running, Echo]) -> None:
    server, application = running
    status, data = HOSTILE[name]
    before = len(application.seen)
    with server.connect() as connection:
        connection.setsockopt(6, 1, 1)  # TCP_NODELAY: each byte is a segment
        for byte in data:
            connection.send(bytes([byte]))
        assert f" {status} ".encode() in connection.recv(65_536).partition(b"\r\n")[0]
    assert len(application.seen) == before


class Pieces(asyncio.Transport):
    """A connection of which each piece is read alone. ``answer``: what the server wrote."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__()
        self.answer = b""
        shared = Connections(Echo(), HttpLimits(), plain_refusal, list[BaseException]().append)
        protocol = HttpProtocol(shared, asyncio.get_running_loop())
        protocol.connection_made(self)
        for piece in pieces:
            protocol.data_received(piece)
        self.requests = shared.counters.requests

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.answer += data

    def write_eof(self) -> None:
        pass


@pytest.mark.parametrize(
    ("lines", "is_refused"),
    [
        ([b"\r\n"], False),
        ([b"\r", b"\n"], False),
        ([b"\r\n", b"\r\n"], True),
        ([b"\r\n", b"\r", b"\n"], True),
    ],
)
@pytest.mark.parametrize("is_cut", [True, False])
def test_one_empty_line_is_skipped_and_two_are_refused_however_they_arrive(
    lines: list[bytes], is_refused: bool, is_cut: bool
) -> None:
    async def read() -> Pieces:
        return Pieces(*lines, get()) if is_cut else Pieces(*lines[:-1], lines[-1] + get())

    found = asyncio.run(read())
    assert found.answer.startswith(b"HTTP/1.1 400 ") == is_refused
    assert found.requests == (0 if is_refused else 1)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_good_request_in_front_of_it_is_answered_first(name: str, running: tuple[Running, Echo]) -> None:
    server, _ = running
    status, data = HOSTILE[name]
    if name == "no request at all" or name.startswith("empty lines"):
        data = get("/", "Content-Length: 0") + data
    answers = server.ask(get("/good") + data)
    assert (answers[0].status, answers[0].json["path"]) == (200, "/good")
    assert answers[-1].status == status


def test_what_follows_a_refused_request_is_never_read(running: tuple[Running, Echo]) -> None:
    server, application = running
    answers = server.ask(get("/", "Host: b") + get("/smuggled") * 3)
    assert [each.status for each in answers] == [400]
    assert not [each for each in application.seen if each["path"] == "/smuggled"]


ACCEPTED: dict[str, tuple[bytes, str, str]] = {
    "an empty line in front": (b"\r\n" + get("/a", CLOSE), "/a", ""),
    "chunked in capitals": (
        request("POST", "/a", "Transfer-Encoding: Chunked", CLOSE) + b"3\r\nabc\r\n0\r\n\r\n", "/a", "abc"
    ),
    "white space around a length": (
        request("POST", "/a", "Content-Length: \t 3 \t", CLOSE) + b"abc", "/a", "abc"
    ),
    "a chunk extension": (chunked(b"3;a=b\r\nabc\r\n0\r\n\r\n", CLOSE), "/", "abc"),
    "leading zeros of a chunk": (chunked(b"0003\r\nabc\r\n000\r\n\r\n", CLOSE), "/", "abc"),
    "empty lines inside a chunk": (chunked(b"8\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n", CLOSE), "/", "\r\n" * 4),
    "a trailer": (chunked(b"3\r\nabc\r\n0\r\nX: y\r\n\r\n", CLOSE), "/", "abc"),
    "the target of a proxy": (get("http://b.example/a?c", CLOSE), "/a", ""),
    "the target of a proxy without a path": (get("http://b.example", CLOSE), "/", ""),
    "the whole server": (request("OPTIONS", "*", CLOSE), "*", ""),
    "an empty Host": (b"GET /a HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", "/a", ""),
    "an address as Host": (b"GET /a HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n", "/a", ""),
    "HTTP/1.0 without a Host": (b"GET /a HTTP/1.0\r\n\r\n", "/a", ""),
    "an offer of another protocol": (
        post(b"abc", "Upgrade: h2c", "HTTP2-Settings: AAA", "Connection: Upgrade, HTTP2-Settings")
        + get("/a", CLOSE),
        "/",
        "abc",
    ),
    "an offer of a web socket": (
        get("/a", "Upgrade: websocket", "Connection: Upgrade") + get("/b", CLOSE), "/a", ""
    ),
    "an offer of another protocol in HTTP/1.0": (
        b"GET /a HTTP/1.0\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "/a", ""
    ),
    "a body of the greatest size": (post(b"a" * 1000, CLOSE), "/", "a" * 1000),
    "a target of the greatest size": (get("/" + "a" * 99, CLOSE), "/" + "a" * 99, ""),
    "as many headers as may be": (get("/a", CLOSE, *["a: b"] * 6), "/a", ""),
    "a decoded path": (get("/%61", CLOSE), "/a", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_it_is_taken_although_it_looks_odd(name: str, running: tuple[Running, Echo]) -> None:
    server, _ = running
    data, path, body = ACCEPTED[name]
    answer = server.ask(data)[0]
    assert (answer.status, answer.json["path"], answer.json["body"]) == (200, path, body)


@pytest.mark.parametrize("name", ACCEPTED)
def test_it_is_taken_byte_by_byte_too(name: str, running: tuple[Running, Echo]) -> None:
    server, _ = running
    data, path, body = ACCEPTED[name]
    with server.connect() as connection:
        connection.setsockopt(6, 1, 1)
        for byte in data:
            connection.send(bytes([byte]))
        answer = one_answer(connection)
    assert (answer.status, answer.json["path"], answer.json["body"]) == (200, path, body)


def test_the_offer_of_another_protocol_does_not_reach_the_application(running: tuple[Running, Echo]) -> None:
    server, application = running
    server.ask(get("/offer", "Upgrade: h2c", "HTTP2-Settings: AAA", "Connection: close, Upgrade", "X: y"))
    seen = application.seen[-1]
    assert seen["path"] == "/offer"
    assert seen["headers"] == [["host", "a.example"], ["connection", "close, Upgrade"], ["x", "y"]]


def test_trailers_are_not_headers(running: tuple[Running, Echo]) -> None:
    server, application = running
    server.ask(chunked(b"3\r\nabc\r\n0\r\nX-Write-Key: forged\r\n\r\n", CLOSE))
    assert "x-write-key" not in dict(application.seen[-1]["headers"])


def test_white_space_behind_a_value_is_gone(running: tuple[Running, Echo]) -> None:
    server, application = running
    server.ask(get("/", "X:  a b \t ", CLOSE))
    assert ["x", "a b"] in application.seen[-1]["headers"]
