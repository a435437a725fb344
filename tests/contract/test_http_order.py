"""The order of answers on one connection, how many may wait, and how a connection ends."""

import socket
import struct
import threading

import pytest

from testing.wait import wait_until
from tests.contract.http_peer import (
    CLOSE,
    LOOPS,
    Echo,
    Receive,
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

PATIENCE_S = 20.0

each_loop = pytest.mark.parametrize("loop", LOOPS)


@each_loop
def test_requests_are_answered_in_their_order(loop: str) -> None:
    with served(Echo(), loop=loop) as server:
        found = server.ask(b"".join(post(b"%d" % n) for n in range(99)) + get("/last", CLOSE))
    assert [each.json["body"] for each in found[:-1]] == [str(n) for n in range(99)]
    assert found[-1].json["path"] == "/last"


@each_loop
def test_a_body_in_pieces_and_what_follows_it_are_kept_apart(loop: str) -> None:
    bodies = [b"a" * size for size in (0, 1, 3, 1000, 70_000, 300_000)]
    chunked = request("POST", "/", "Transfer-Encoding: chunked")
    data = b""
    for body in bodies:
        pieces = [body[at : at + 9_000] for at in range(0, len(body), 9_000)]
        data += post(body) + chunked
        data += b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    with served(Echo(), loop=loop) as server:
        found = server.ask(data + get("/", CLOSE))
    assert [len(each.json["body"]) for each in found] == [len(body) for body in bodies for _ in "ab"] + [0]


@each_loop
def test_one_request_of_a_connection_is_with_the_application_at_a_time(loop: str) -> None:
    application = Echo()
    with served(application, loop=loop) as server, server.connect() as connection:
        connection.sendall(get("/wait/1") + get("/wait/2") + get("/3", CLOSE))
        wait_until(lambda: application.waiting, what="the first request is with the application")
        wait_until(lambda: server.server.counters.requests == 3, what="the others are read")
        assert [each["path"] for each in application.seen] == ["/wait/1"]
        server.do(application.released.set)
        assert [each.json["path"] for each in answers(received(connection))] == ["/wait/1", "/wait/2", "/3"]


@each_loop
def test_a_refusal_waits_behind_the_answers_that_are_due(loop: str) -> None:
    application = Echo()
    with served(application, loop=loop) as server, server.connect() as connection:
        connection.sendall(get("/wait/1") + get("/2") + get("/", "Host: b") + get("/smuggled"))
        wait_until(lambda: server.server.counters.refused["bad_request"], what="the third is refused")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(30)
        server.do(application.released.set)
        found = answers(received(connection))
    assert [each.status for each in found] == [200, 200, 400]
    assert "close" not in found[1].headers.get("connection", "")


@each_loop
def test_at_most_eight_requests_wait_and_then_nothing_is_read(loop: str) -> None:
    application = Echo()
    limits = HttpLimits(max_waiting_requests=8)
    count = 60
    with served(application, limits=limits, loop=loop) as server, server.connect() as connection:
        connection.sendall(get("/wait/0") + b"".join(post(b"%d" % n) for n in range(1, count)))
        wait_until(lambda: server.server.counters.requests == 9, what="one is served and eight wait")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):  # 50 MB: more than the kernel keeps
            connection.sendall(post(b"a" * 50_000) * 1_000)
        assert server.server.counters.requests == 9
        assert server.server.pending_bytes < 1_000_000
        connection.settimeout(30)
        server.do(application.released.set)
        for n in range(count):
            assert one_answer(connection).json["body"] == (str(n) if n else "")


@each_loop
def test_what_waits_is_read_on_when_its_turn_comes(loop: str) -> None:
    """Heads, bodies and chunks that begin before the pause and end behind it."""
    application = Echo()
    tail = request("POST", "/", "Transfer-Encoding: chunked", CLOSE) + b"3\r\nabc\r\n0\r\n\r\n"
    with served(application, loop=loop) as server, server.connect() as connection:
        connection.sendall(get("/wait/0") + post(b"abc") * 20 + tail[:60])
        wait_until(lambda: server.server.counters.requests == 9, what="one is served and eight wait")
        server.do(application.released.set)
        wait_until(lambda: server.server.counters.requests == 21, what="all but the last are served")
        connection.sendall(tail[60:])
        assert [each.status for each in answers(received(connection))] == [200] * 22


@each_loop
def test_who_half_closes_gets_all_answers(loop: str) -> None:
    with served(Echo(), loop=loop) as server:
        assert [each.status for each in server.ask(get() * 30, half_close=True)] == [200] * 30


@each_loop
def test_who_half_closes_in_the_middle_of_a_request_gets_none_for_it(loop: str) -> None:
    application = Echo()
    with served(application, loop=loop) as server:
        assert [each.status for each in server.ask(get() + post(b"abc")[:-1], half_close=True)] == [200]
        assert len(application.seen) == 1
        assert server.server.counters.refused == {"incomplete": 1}
        assert server.server.pending_bytes == 0


@each_loop
def test_a_client_that_is_gone_after_the_body_is_served_all_the_same(loop: str) -> None:
    application = Echo()
    with served(application, loop=loop) as server:
        with server.connect() as connection:
            connection.sendall(post(b"1", path="/wait/") + post(b"2") + post(b"3")[:-1])
            wait_until(lambda: server.server.counters.requests == 2, what="both are read")
            _reset(connection)
        wait_until(lambda: not server.server.connections, what="the connection is gone")
        server.do(application.released.set)
        wait_until(lambda: len(application.seen) == 2, what="both were served")
        wait_until(lambda: server.server.pending_bytes == 0, what="nothing is kept")
        assert [each["body"] for each in application.seen] == ["1", "2"]
        assert server.failures == []


@each_loop
def test_an_application_learns_that_its_client_is_gone(loop: str) -> None:
    application = Echo()
    with served(application, loop=loop) as server:
        with server.connect() as connection:
            connection.sendall(get("/until-disconnect"))
            wait_until(lambda: application.seen, what="the request is with the application")
            _reset(connection)
        wait_until(lambda: application.disconnected, what="it knows")
        assert server.failures == []


@each_loop
def test_half_closing_ends_an_answer_that_has_no_end(loop: str) -> None:
    gone = threading.Event()

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        gone.set()

    with served(application, loop=loop) as server, server.connect() as connection:
        connection.sendall(get())
        data = b""
        while b"first" not in data:
            data += connection.recv(65_536)
        connection.shutdown(socket.SHUT_WR)
        assert gone.wait(PATIENCE_S)
    assert server.failures == []


@each_loop
def test_what_comes_behind_the_last_request_is_dropped(loop: str) -> None:
    application = Echo()
    with served(application, loop=loop) as server:
        (only,) = server.ask(get("/", CLOSE) + get("/more") * 5)
    assert only.headers["connection"] == "close"
    assert len(application.seen) == 1


@each_loop
def test_a_413_arrives_although_its_sender_goes_on_sending(loop: str) -> None:
    """Bytes that nobody reads would make a reset of the end, which takes the answer from the receiver."""
    with served(Echo(), loop=loop) as server, server.connect() as connection:
        connection.sendall(request("POST", "/", "Content-Length: 5000000"))
        wait_until(lambda: server.server.counters.refused["too_large"], what="it is refused")
        for _ in range(50):
            connection.sendall(b"a" * 100_000)
        (only,) = answers(received(connection))
        assert only.status == 413


@each_loop
def test_100_continue_is_sent_once_the_body_is_awaited(loop: str) -> None:
    with served(Echo(), loop=loop) as server, server.connect() as connection:
        connection.sendall(request("POST", "/", "Content-Length: 3", "Expect: 100-continue", CLOSE))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        (only,) = answers(received(connection))
        assert only.json["body"] == "abc"


@each_loop
def test_100_continue_waits_behind_the_answers_that_are_due(loop: str) -> None:
    application = Echo()
    expecting = request("POST", "/", "Content-Length: 3", "Expect: 100-continue", CLOSE)
    with served(application, loop=loop) as server, server.connect() as connection:
        connection.sendall(get("/wait/") + expecting)
        wait_until(lambda: application.waiting, what="the first request is with the application")
        server.do(application.released.set)
        assert one_answer(connection).status == 200
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert [each.json["body"] for each in answers(received(connection))] == ["abc"]


@each_loop
@pytest.mark.parametrize("head", ["HTTP/1.1 with a body", "HTTP/1.0", "without a body"])
def test_100_continue_is_not_sent_where_nobody_waits(loop: str, head: str) -> None:
    data = {
        "HTTP/1.1 with a body": post(b"abc", "Expect: 100-continue", CLOSE),
        "HTTP/1.0": b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        "without a body": get("/", "Expect: 100-continue", CLOSE),
    }[head]
    with served(Echo(), loop=loop) as server:
        assert [each.status for each in server.ask(data)] == [200]


@each_loop
def test_over_the_limit_of_connections_one_is_accepted_and_reset(loop: str) -> None:
    with served(Echo(), limits=HttpLimits(max_connections=2), loop=loop) as server:
        with server.connect() as first, server.connect() as second:
            first.sendall(get())
            second.sendall(get())
            assert [one_answer(each).status for each in (first, second)] == [200, 200]
            with pytest.raises(ConnectionResetError):
                server.ask(get())
            assert server.server.counters.refused == {"too_many_connections": 1}
            first.sendall(get())
            assert one_answer(first).status == 200
        wait_until(lambda: not server.server.connections, what="the others are gone")
        assert [each.status for each in server.ask(get("/", CLOSE))] == [200]


def test_a_request_that_waits_for_its_peer_to_read_is_not_begun() -> None:
    """A sender of many requests that reads no answer keeps no more than the kernel's buffers full."""
    application = Big()
    with served(application) as server, server.connect() as connection:
        connection.sendall(get() * 300)
        wait_until(Settled(application), what="no more requests are begun", every_s=0.05)
        assert application.begun < 150  # of 60 MB the kernel keeps some
        total = 0
        while total < 300 * 200_000:
            total += len(connection.recv(1_000_000))
        assert application.begun == 300


class Big(Echo):
    """Answers with 200,000 bytes."""

    begun = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        else:
            self.begun += 1
            await answer(send, b"a" * 200_000)


class Settled:
    """True once the number of requests that were begun was the same ten times."""

    def __init__(self, application: Big) -> None:
        self._application = application
        self._before = 0
        self._times = 0

    def __call__(self) -> bool:
        begun = self._application.begun
        self._times = self._times + 1 if begun == self._before else 0
        self._before = begun
        return begun > 0 and self._times >= 10


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
