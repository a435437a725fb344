"""The request reader beside h11, a strict reader by others: what both take, both take alike.

Requests are made well-formed and then changed at random, cut at random, and read by both. Invariant: whatever
ours takes, h11 takes with the same meaning, but for an empty line in front, which it does not take. What h11
takes and ours refuses has a row in ``STRICTER``.
"""

import os
import random
import re
from collections.abc import Callable

import h11
import pytest

from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.request_heads import KnownHeads
from worker.adapters.http.request_reader import Refused, RequestReader

CASES = int(os.environ.get("SESSIONIZER_TEST_HTTP_CASES", "6000"))
LIMITS = HttpLimits(max_body_bytes=1 << 20, max_headers=1_000, max_headers_bytes=1 << 20)

Read = list[tuple[str, str, list[tuple[bytes, bytes]], bytes]]
"""Requests: method, target, headers, body."""

LINES = [
    b"Host: a.example",
    b"Content-Length: 5",
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Expect: 100-continue",
    b"X-Write-Key: wk_1",
    b"Content-Type: application/json; charset=utf-8",
    b"X:",
    b"X: \xe4 \t ",
]
TRICKY = [
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: CHUNKED",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Content-Length: +5",
    b"Content-Length: 5, 5",
    b"Content-Length : 5",
    b"Content-Length: 05 ",
    b"Host: b",
    b"X: a\r\n b",
    b"Expect: 200",
    b"Upgrade: h2c\r\nConnection: Upgrade",
    b"Connection: a, close",
]
"""What attacks on the border of two requests are made of; and what clients that are used do send."""

STARTS = [
    b"GET / HTTP/1.1",
    b"POST /v1/events?a=b HTTP/1.1",
    b"POST / HTTP/1.0",
    b"OPTIONS * HTTP/1.1",
    b"HEAD http://b.example/c HTTP/1.1",
]
BODIES = [
    b"",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"1;a=b\r\nx\r\n2\r\nyz\r\n0\r\nT: u\r\n\r\n",
    b"0\r\n\r\n",
]
PIECES = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"\0",
        b":",
        b",",
        b";",
        b"\x0b",
        b"\x7f",
        b"\xff",
        b"0",
        b"5",
        b"-",
        b"+",
    ),
    *(
        b"0x",
        b"chunked",
        b"gzip, ",
        b"Host: b\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ),
    *(b"HTTP/1.9", b"HTTP/2.0", b"\r\n\r\n", b" folded", b"GET ", b"/", b"#", b"?", b"%", b"CONNECT "),
]

METHODS = {"GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE"}

STRICTER: dict[str, Callable[[bytes, tuple[str, str, list[tuple[bytes, bytes]], bytes]], object]] = {
    "a method that nobody has": lambda _, r: r[0] not in METHODS,
    "CONNECT": lambda _, r: r[0] == "CONNECT",
    "a target that is no path": lambda _, r: not re.fullmatch(r"\*|(https?:/)?/.*", r[1], re.IGNORECASE),
    "a host that is none": lambda _, r: re.match(r"https?://([/?]|[^/]*[^\w./:-])", r[1], re.IGNORECASE),
    "a fragment": lambda _, r: "#" in r[1],
    "a character that is none of a target's": lambda _, r: re.search(r"[^!-~]", r[1]),
    "a Host that names no host": lambda _, r: any(
        name == b"host" and not re.fullmatch(rb"[\w.~!$&'()*+;=%:\[\]-]*", value) for name, value in r[2]
    ),
    "a Host twice in HTTP/1.0": lambda _, r: sum(name == b"host" for name, _ in r[2]) > 1,
    "the same Content-Length twice": lambda d, _: len(re.findall(rb"content-length", d, re.IGNORECASE)) > 1,
    "a list as Content-Length": lambda d, _: re.search(rb"(?i)content-length:[^\r\n]*,", d),
    "Content-Length and chunks": lambda d, _: (
        re.search(rb"(?i)content-length", d) and b"chunked" in d.lower()
    ),
    "chunks in HTTP/1.0": lambda d, _: b"HTTP/1.0" in d and re.search(rb"(?i)transfer-encoding", d),
    "an expectation that is unknown": lambda _, r: any(
        name == b"expect" and value.lower() != b"100-continue" for name, value in r[2]
    ),
    "two expectations": lambda _, r: sum(name == b"expect" for name, _ in r[2]) > 1,
    "a bare line feed": lambda d, _: re.search(rb"(?<!\r)\n", d),
    "an empty line in front": lambda d, _: d.startswith((b"\r", b"\n")),
    "a folded header": lambda d, _: re.search(rb"\r\n[ \t]", d),
    "a blank in a chunk's size": lambda d, _: re.search(rb"\n[0-9a-fA-F]+[ \t]", d),
    "a chunk's extension": lambda d, _: re.search(rb"\n[0-9a-fA-F]+;", d),
    "a length of twenty digits": lambda d, _: re.search(rb"[0-9]{16}", d),
    "another version than 1.0 and 1.1": lambda d, _: re.search(rb"HTTP/(?!1\.[01]\r\n)", d),
    "control characters": lambda d, _: re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", d),
    "a trailer that frames": lambda d, _: re.search(rb"\n0+\r\n(?i:content-length|transfer-encoding)", d),
}


def made(chance: random.Random) -> bytes:
    """One to three requests with up to three random changes."""
    data = b""
    for _ in range(chance.randint(1, 3)):
        lines = [LINES[0], *chance.sample(LINES[1:], chance.randint(0, 4))]
        chance.shuffle(lines)
        body = chance.choice(BODIES)
        framing = [b"Transfer-Encoding: chunked" if b"\r\n" in body else b"Content-Length: %d" % len(body)]
        if chance.random() < 0.8:
            lines = [
                line for line in lines if not line.startswith((b"Content-Length", b"Transfer"))
            ] + framing
        if chance.random() < 0.2:
            lines.insert(chance.randrange(len(lines) + 1), chance.choice(TRICKY))
        data += b"\r\n".join([chance.choice(STARTS), *lines, b"", b""]) + body
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.choice([0, 0, 1, 1, 2, 8]))
        new = chance.choice(
            [b"", chance.choice(PIECES), chance.choice(PIECES), bytes([chance.randrange(256)])]
        )
        data = data[:at] + new + data[to:]
    return data


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    """In one piece, in two or three, or byte by byte."""
    way = chance.random()
    if way < 0.4:
        return [data]
    if way < 0.5:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randint(1, 3)))
    return [
        data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True) if start < end
    ]


def read_by_ours(pieces: list[bytes], known: KnownHeads | None = None) -> tuple[Read, bool]:
    """The requests, and whether something was refused behind them. ``known``: heads that were read before."""
    reader = RequestReader(LIMITS, known or KnownHeads())
    found: Read = []
    try:
        for piece in pieces:
            at = 0
            while at < len(piece):
                at = reader.feed(piece, at)
                if (request := reader.take()) is not None:
                    head, body = request.head, request.body
                    target = head.raw_path + (b"?" + head.query if head.query else b"")
                    found.append((head.method, target.decode(), head.all_headers(body), body))
                    if request.is_last:
                        return found, False
    except Refused:
        return found, True
    return found, False


def read_by_h11(data: bytes) -> tuple[Read, bool]:
    """The same by h11."""
    connection = _connection(data)
    found: Read = []
    request: h11.Request | None = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                headers = [(bytes(name), bytes(value)) for name, value in request.headers]
                found.append((request.method.decode(), request.target.decode("latin-1"), headers, body))
                said = b",".join(value for name, value in headers if name == b"connection").lower()
                tokens = [token.strip() for token in said.split(b",")]
                is_kept = request.http_version == b"1.1" or b"keep-alive" in tokens
                if b"close" in tokens or not is_kept:
                    return found, False
                connection = _connection(connection.trailing_data[0])  # it keeps no HTTP/1.0 alive
            else:
                return found, False
    except h11.RemoteProtocolError:
        return found, True


def _connection(data: bytes) -> h11.Connection:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data.removeprefix(b"\r\n"))  # an empty line in front: RFC 9112, 2.2
    return connection


def plain(request: tuple[str, str, list[tuple[bytes, bytes]], bytes]) -> tuple[object, ...]:
    """Without what is written in two ways: a target's host, an empty query, capitals, zeros, offers."""
    method, target, headers, body = request
    target = re.sub(r"^https?://[^/?]*", "", target, flags=re.IGNORECASE) or "/"
    kept = [
        (name, value.lower().lstrip(b"0") if name in (b"transfer-encoding", b"content-length") else value)
        for name, value in headers
        if name not in (b"upgrade", b"http2-settings")
    ]
    return method, target.removesuffix("?"), kept, body


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_taken_is_taken_by_h11_with_the_same_meaning(seed: int) -> None:
    chance = random.Random(seed)
    taken = refused = 0
    for _ in range(CASES // 4):
        data = made(chance)
        pieces = cut(data, chance)
        ours, was_refused = read_by_ours(pieces)
        theirs, _ = read_by_h11(data)
        at = f"{data!r} in {len(pieces)} pieces"
        assert [plain(each) for each in ours] == [plain(each) for each in theirs[: len(ours)]], at
        if len(theirs) > len(ours):
            assert was_refused or ours[-1:], at
            why = [name for name, holds in STRICTER.items() if holds(data, theirs[len(ours)])]
            assert why, f"h11 takes {theirs[len(ours)]} of {at}"
        taken += len(ours)
        refused += was_refused
    assert taken > CASES // 8
    assert refused > CASES // 40


def test_a_head_that_was_read_before_is_read_alike() -> None:
    """With what all cases before it left behind, with what it leaves itself, and however it is cut."""
    chance = random.Random(4)
    known, again = KnownHeads(), 0
    for _ in range(CASES // 4):
        data = made(chance)
        expected = read_by_ours([data])
        for pieces in ([data], [data], cut(data, chance)):
            assert read_by_ours(pieces, known) == expected, f"{data!r} in {len(pieces)} pieces"
        again += known.find(data, 0) is not None
    assert again > CASES // 30


@pytest.mark.parametrize(
    "line",
    [
        *(b"Content-Length: %d", b"content-length: %d", b"CONTENT-LENGTH: %d", b"Content-Length:%d"),
        *(
            b"Content-Length:  %d",
            b"Content-Length: %d ",
            b"Content-Length: %02d",
            b"X: 1\r\nContent-Length: %d",
        ),
        *(b"X: Content-Length: 7\r\nContent-Length: %d", b"content-length: %d\r\nY: Content-Length: 1"),
    ],
)
def test_a_known_head_has_the_length_of_its_own_body(line: bytes) -> None:
    known = KnownHeads()
    for body in (b"hello", b"abc", b"hello", b"", b"", b"GET / HTTP/1.1"):
        data = b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n%bGET /next HTTP/1.1\r\nHost: a\r\n\r\n"
        data %= line % len(body), body
        (first, second), refused = read_by_ours([data], known)
        assert (first[3], second[1], refused) == (body, "/next", False)
        assert ([first, second], refused) == read_by_ours([data])


@pytest.mark.parametrize("length", [b"+5", b"-5", b"5_0", b"0x5", b"5 5", b"5,5", b"", b"9" * 30])
def test_a_length_that_is_none_is_refused_behind_a_known_head_too(length: bytes) -> None:
    known = KnownHeads()
    data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\n\r\nhello"
    for _ in range(2):
        found, refused = read_by_ours([data % b"5"], known)
        assert ([body for *_, body in found], refused) == ([b"hello"], False)
        assert read_by_ours([data % length], known) == ([], True)
