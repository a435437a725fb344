"""Memory that senders can fill: what they send in halves, what waits, and who goes where there is no room."""

import contextlib
import socket
from collections.abc import Iterator
from functools import partial

import pytest

from testing.wait import wait_until
from tests.contract.http_peer import (
    CLOSE,
    LOOPS,
    Echo,
    Running,
    answers,
    get,
    one_answer,
    post,
    received,
    request,
    served,
)
from worker.adapters.http.limits import HttpLimits

LIMIT = 1_050_000
HALF = request("POST", "/half", "Content-Length: 100001") + b"a" * 100_000
LIMITS = HttpLimits(max_body_bytes=400_000, max_pending_bytes=LIMIT)

each_loop = pytest.mark.parametrize("loop", LOOPS)


@contextlib.contextmanager
def half_senders(count: int, server: Running) -> Iterator[list[socket.socket]]:
    """So many connections, each of which has sent a body but for its last byte, one after the other."""

    def noticed() -> int:
        return server.server.pending_bytes // 100_000 + server.server.counters.refused["overloaded"]

    with contextlib.ExitStack() as opened:
        senders = []
        for number in range(1, count + 1):
            sender = opened.enter_context(server.connect())
            senders.append(sender)
            sender.sendall(HALF)
            wait_until(partial(lambda n: noticed() == n, number), what="it is read")
        yield senders


@each_loop
def test_half_sent_bodies_are_bounded_and_the_oldest_go(loop: str) -> None:
    """What stalls is older than what arrives: the slow ones make room for the others."""
    with served(Echo(), limits=LIMITS, loop=loop) as server, half_senders(30, server) as senders:
        wait_until(lambda: server.server.counters.refused["overloaded"] == 20, what="twenty had to go")
        assert 900_000 < server.server.pending_bytes <= LIMIT
        statuses = []
        for sender in senders[:20]:
            statuses += [each.status for each in answers(received(sender))]
        assert statuses == [503] * 20
        for sender in senders[20:]:
            sender.sendall(b"a")
            assert one_answer(sender).status == 200
        wait_until(lambda: server.server.pending_bytes == 0, what="nothing is kept")


@each_loop
def test_whole_requests_are_served_while_half_sent_ones_fill_the_memory(loop: str) -> None:
    with served(Echo(), limits=LIMITS, loop=loop) as server, half_senders(10, server):
        wait_until(lambda: server.server.pending_bytes == 1_000_000, what="the memory is full")
        assert [each.status for each in server.ask(post(b"a" * 300_000, CLOSE))] == [200]
        assert server.server.counters.refused["overloaded"] == 3


@each_loop
def test_where_all_of_it_is_with_the_application_a_newcomer_is_refused(loop: str) -> None:
    application = Echo()
    with served(application, limits=LIMITS, loop=loop) as server, server.connect() as connection:
        connection.sendall(post(b"a" * 400_000, path="/wait/") * 2)
        wait_until(lambda: server.server.counters.requests == 2, what="both are read")
        assert [each.status for each in server.ask(post(b"a" * 300_000))] == [503]
        assert [each.status for each in server.ask(get("/", CLOSE))] == [200]
        server.do(application.released.set)
        assert [one_answer(connection).status for _ in "ab"] == [200, 200]
        assert [each.status for each in server.ask(post(b"a" * 300_000, CLOSE))] == [200]


@each_loop
def test_a_body_that_its_sender_gives_up_is_freed(loop: str) -> None:
    with served(Echo(), limits=LIMITS, loop=loop) as server:
        with half_senders(5, server):
            wait_until(lambda: server.server.pending_bytes == 500_000, what="the halves are held")
        wait_until(lambda: server.server.pending_bytes == 0, what="they are freed")
        assert [each.status for each in server.ask(get("/", CLOSE))] == [200]


@each_loop
def test_a_refused_body_is_freed_at_once(loop: str) -> None:
    with served(Echo(), limits=LIMITS, loop=loop) as server, server.connect() as connection:
        chunked = request("POST", "/", "Transfer-Encoding: chunked")
        connection.sendall(chunked + b"493e0\r\n" + b"a" * 300_000 + b"\r\n")
        wait_until(lambda: server.server.pending_bytes == 300_000, what="it is held")
        connection.sendall(b"no chunk\r\n")
        assert [each.status for each in answers(received(connection))] == [400]
        assert server.server.pending_bytes == 0


@each_loop
def test_a_body_byte_by_byte_takes_no_more_than_its_bytes(loop: str) -> None:
    """Pieces that were kept one by one would take thirty times as much."""
    with served(Echo(), limits=LIMITS, loop=loop) as server, server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request("POST", "/", "Content-Length: 3000", CLOSE))
        for _ in range(3_000):
            connection.send(b"a")
        (only,) = answers(received(connection))
        assert only.json["body"] == "a" * 3_000
