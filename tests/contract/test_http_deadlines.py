"""What a sender or a reader that is too slow costs: one deadline each, which nothing that it does puts off.

The limits are short here. A test waits for the server's end of the connection, never for a time; that none
comes too early is looked at with wide margins.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from testing.wait import wait_until
from tests.contract.http_peer import (
    CLOSE,
    LOOPS,
    Echo,
    Receive,
    Running,
    Send,
    answer,
    answers,
    get,
    lifespan,
    one_answer,
    post,
    received,
    request,
    served,
)
from worker.adapters.http.connections import Message
from worker.adapters.http.limits import HttpLimits

LONG_S = 600.0
LONG = {
    "header_timeout_s": LONG_S,
    "body_timeout_s": LONG_S,
    "idle_timeout_s": LONG_S,
    "write_timeout_s": LONG_S,
    "sweep_s": 0.05,
}


def limits(**short: float) -> HttpLimits:
    """Every deadline far away but these."""
    return HttpLimits(**{**LONG, **short})  # type: ignore[arg-type]


@contextlib.contextmanager
def dripping(connection: socket.socket, piece: bytes, every_s: float = 0.05) -> Iterator[None]:
    """Send this again and again until the block ends or the peer closes."""
    done = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            while not done.wait(every_s):
                connection.sendall(piece)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def ends(server: Running, *, sent: bytes, drip: bytes = b"") -> list[int]:
    """Statuses of what a sender gets that sends this, and then at most drips."""
    with server.connect() as connection:
        connection.sendall(sent)
        with dripping(connection, drip) if drip else contextlib.nullcontext():
            return [each.status for each in answers(received(connection))]


each_loop = pytest.mark.parametrize("loop", LOOPS)


@each_loop
@pytest.mark.parametrize(
    ("sent", "drip"),
    [
        (b"GET / HT", b""),
        (get()[:-2], b""),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"x: y\r\n"),
        (b"GET /", b"a"),
        (b"G", b""),
        (b"\r", b""),
    ],
)
def test_a_head_that_takes_too_long_gets_408(sent: bytes, drip: bytes, loop: str) -> None:
    with served(Echo(), limits=limits(header_timeout_s=0.3), loop=loop) as server:
        assert ends(server, sent=sent, drip=drip) == [408]
        assert server.server.counters.refused == {"request_timeout": 1}


@each_loop
@pytest.mark.parametrize(
    ("sent", "drip"),
    [
        (request("POST", "/", "Content-Length: 100000"), b""),
        (request("POST", "/", "Content-Length: 100000"), b"a"),
        (request("POST", "/", "Content-Length: 3", "Expect: 100-continue"), b""),
        (request("POST", "/", "Transfer-Encoding: chunked"), b"1\r\na\r\n"),
        (request("POST", "/", "Transfer-Encoding: chunked") + b"0\r\n", b""),
        (request("POST", "/", "Transfer-Encoding: chunked") + b"1;", b"a"),
    ],
)
def test_a_body_that_takes_too_long_gets_408(sent: bytes, drip: bytes, loop: str) -> None:
    with served(Echo(), limits=limits(body_timeout_s=0.3), loop=loop) as server:
        assert ends(server, sent=sent, drip=drip)[-1] == 408
        assert server.server.pending_bytes == 0


@each_loop
def test_a_body_has_the_time_from_its_requests_first_byte_on(loop: str) -> None:
    """A slow head leaves less for the body: together they have the body's deadline."""
    with (
        served(Echo(), limits=limits(body_timeout_s=2.0), loop=loop) as server,
        server.connect() as connection,
    ):
        began = time.monotonic()
        connection.sendall(b"POST / HTTP/1.1\r\n")
        wait_until(lambda: time.monotonic() - began > 1.2, what="most of the time is over")
        connection.sendall(b"Host: a\r\nContent-Length: 3\r\n\r\n")
        assert [each.status for each in answers(received(connection))] == [408]
        assert time.monotonic() - began < 3.1


@each_loop
def test_an_idle_connection_is_closed_without_a_word(loop: str) -> None:
    with (
        served(Echo(), limits=limits(idle_timeout_s=0.3), loop=loop) as server,
        server.connect() as connection,
    ):
        connection.sendall(get())
        assert one_answer(connection).status == 200
        connection.sendall(b"\r\n")  # of old clients, behind a body: it begins no request
        assert connection.recv(1) == b""


@each_loop
def test_a_connection_that_says_nothing_is_closed_without_a_word(loop: str) -> None:
    """A browser opens some before it needs them, and would show it the 408 of another time."""
    with served(Echo(), limits=limits(header_timeout_s=0.3), loop=loop) as server:
        assert ends(server, sent=b"") == []


@each_loop
def test_a_request_behind_another_has_its_own_deadline(loop: str) -> None:
    application = Echo()
    with (
        served(application, limits=limits(header_timeout_s=0.3), loop=loop) as server,
        server.connect() as connection,
    ):
        connection.sendall(get("/wait/") + b"GET / HT")
        wait_until(lambda: server.server.counters.refused["request_timeout"], what="the second is late")
        server.do(application.released.set)
        assert [each.status for each in answers(received(connection))] == [200, 408]


@each_loop
def test_an_application_may_take_longer_than_any_deadline(loop: str) -> None:
    application = Echo()
    short = limits(header_timeout_s=0.1, body_timeout_s=0.1, idle_timeout_s=0.1, write_timeout_s=0.1)
    with served(application, limits=short, loop=loop) as server, server.connect() as connection:
        connection.sendall(post(b"abc", CLOSE, path="/wait/"))
        wait_until(lambda: application.waiting, what="the request is with the application")
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 0.6, what="every deadline is over")
        server.do(application.released.set)
        assert [each.status for each in answers(received(connection))] == [200]


@each_loop
def test_who_keeps_its_deadlines_is_never_closed(loop: str) -> None:
    """Longer than any deadline in all, each request well within its own."""
    tight = limits(header_timeout_s=2.5, body_timeout_s=2.5, idle_timeout_s=2.5)
    with served(Echo(), limits=tight, loop=loop) as server, server.connect() as connection:
        began = time.monotonic()
        while time.monotonic() - began < 3.2:
            connection.sendall(post(b"abc"))
            assert one_answer(connection).status == 200


@each_loop
def test_after_a_refusal_the_sender_has_its_time_to_read_it(loop: str) -> None:
    with (
        served(Echo(), limits=HttpLimits(linger_s=0.3, sweep_s=0.05), loop=loop) as server,
        server.connect() as connection,
    ):
        connection.sendall(get("/", "Host: b"))
        assert [each.status for each in answers(received(connection))] == [400]
        with dripping(connection, b"a" * 1_000):
            wait_until(lambda: not server.server.connections, what="the server has closed it")


class Big:
    """Answers with more than the kernel's buffers keep."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        else:
            await answer(send, b"a" * 30_000_000)


@each_loop
def test_an_answer_that_is_not_read_ends_its_connection(loop: str) -> None:
    with (
        served(Big(), limits=limits(write_timeout_s=0.3), loop=loop) as server,
        server.connect() as connection,
    ):
        connection.sendall(get("/", CLOSE))
        wait_until(lambda: server.server.counters.refused["answer_not_read"], what="the server gave up")
        wait_until(lambda: not server.server.connections, what="and has closed it")
        with pytest.raises(ConnectionResetError):
            received(connection)


@each_loop
def test_an_answer_that_is_read_too_slowly_ends_its_connection(loop: str) -> None:
    """Reading a little puts nothing off."""
    with (
        served(Big(), limits=limits(write_timeout_s=0.5), loop=loop) as server,
        server.connect() as connection,
    ):
        connection.sendall(get("/", CLOSE))
        with pytest.raises(ConnectionResetError):
            _read(connection, 30_000_000, lambda: time.sleep(0.05))
        assert server.server.counters.refused == {"answer_not_read": 1}


@each_loop
def test_a_reader_that_is_quick_enough_gets_all_of_many_answers(loop: str) -> None:
    """There are always some unread, and no one for long."""
    with served(Big(), limits=limits(write_timeout_s=2), loop=loop) as server, server.connect() as connection:
        connection.sendall(get("/") * 8)
        _read(connection, 8 * 30_000_000, lambda: None)
        assert server.server.counters.refused == {}


def _read(connection: socket.socket, size: int, pause: Callable[[], None]) -> None:
    while size > 0:
        piece = connection.recv(100_000)
        assert piece
        size -= len(piece)
        pause()


@each_loop
def test_one_connection_that_fails_does_not_end_the_sweep(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.adapters.http.protocol import HttpProtocol

    expire = HttpProtocol.expire
    failed: list[HttpProtocol] = []

    def fail_once(self: HttpProtocol, now: float) -> None:
        if not failed:
            failed.append(self)
            raise ValueError("a bug")
        expire(self, now)

    monkeypatch.setattr(HttpProtocol, "expire", fail_once)
    with served(Echo(), limits=limits(header_timeout_s=0.3), loop=loop) as server:
        with server.connect() as first, server.connect() as second:
            assert (received(first), received(second)) == (b"", b"")
        assert [str(each) for each in server.failures] == ["a bug"]
