"""How the HTTP server starts and ends: what it still answers, and what it counts as unanswered."""

import asyncio
import contextlib
import os
import signal
import socket
import threading

import pytest

from testing.wait import eventually, wait_until
from tests.contract.http_peer import (
    LOOPS,
    Echo,
    Receive,
    Send,
    answers,
    get,
    one_answer,
    post,
    received,
    served,
)
from worker.adapters.http.connections import Message
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.server import HttpServer
from worker.errors import Fatal

each_loop = pytest.mark.parametrize("loop", LOOPS)


@each_loop
def test_while_it_waits_to_drain_it_serves_and_asks_to_close(loop: str) -> None:
    with served(Echo(), loop=loop) as server, server.connect() as old:
        old.sendall(get())
        assert "connection" not in one_answer(old).headers
        server.do(lambda: server.server.drain(delay_s=600))
        old.sendall(post(b"abc"))
        assert [each.headers["connection"] for each in answers(received(old))] == ["close"]
        assert [each.status for each in server.ask(get())] == [200]
        server.do(server.server.drain)  # a second call puts nothing off
        wait_until(lambda: server.ended, what="it has ended")


@each_loop
def test_idle_connections_close_and_what_waits_is_answered(loop: str) -> None:
    application = Echo()
    with served(application, loop=loop) as server, server.connect() as idle, server.connect() as busy:
        idle.sendall(get())
        assert one_answer(idle).status == 200
        busy.sendall(get("/wait/1") + get("/wait/2"))
        wait_until(lambda: server.server.counters.requests == 3, what="both are read")
        server.do(lambda: server.server.drain(within_s=20))
        assert idle.recv(1) == b""
        with pytest.raises(OSError):
            server.connect().close()
        server.do(application.released.set)
        found = answers(received(busy))
        wait_until(lambda: server.ended, what="it has ended")
    assert [each.status for each in found] == [200, 200]
    assert found[-1].headers["connection"] == "close"
    assert server.ended == [0]


@each_loop
def test_a_half_read_request_keeps_its_deadline(loop: str) -> None:
    with served(Echo(), loop=loop) as server, server.connect() as connection:
        connection.sendall(post(b"abc")[:-1])
        wait_until(lambda: server.server.pending_bytes == 2, what="it is half read")
        server.do(lambda: server.server.drain(within_s=20))
        wait_until(lambda: _is_closed(server.port), what="nothing more is accepted")
        connection.sendall(b"c")
        assert [each.json["body"] for each in answers(received(connection))] == ["abc"]
        wait_until(lambda: server.ended, what="it has ended")
    assert server.ended == [0]


@each_loop
def test_a_half_read_request_that_stalls_gets_408(loop: str) -> None:
    limits = HttpLimits(body_timeout_s=1.0, sweep_s=0.05)
    with served(Echo(), limits=limits, loop=loop) as server, server.connect() as connection:
        connection.sendall(post(b"abc")[:-1])
        wait_until(lambda: server.server.pending_bytes == 2, what="it is half read")
        server.do(lambda: server.server.drain(within_s=20))
        assert [each.status for each in answers(received(connection))] == [408]
        wait_until(lambda: server.ended, what="it has ended")
    assert server.ended == [0]


@each_loop
def test_what_is_not_answered_in_time_is_cancelled_and_counted(loop: str) -> None:
    application = Echo()
    with served(application, loop=loop) as server, server.connect() as first, server.connect() as second:
        for connection in (first, second):
            connection.sendall(get("/wait/"))
        wait_until(lambda: application.waiting == 2, what="both are with the application")
        server.do(lambda: server.server.drain(within_s=1))
        for connection in (first, second):
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        wait_until(lambda: server.ended, what="it has ended")
    assert server.ended == [2]
    assert server.server.pending_bytes == 0


def test_signals_are_not_the_servers() -> None:
    """uvicorn would take SIGTERM, and raise it once more at its end."""
    calls: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: calls.append(number))
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = HttpServer(Echo(), sockets=[listener], limits=HttpLimits())

            async def run() -> None:
                serving = asyncio.create_task(server.serve())
                await eventually(lambda: _is_true(server.has_started), what="it accepts connections")
                os.kill(os.getpid(), signal.SIGTERM)
                server.drain()
                await serving

            asyncio.run(run())
        assert threading.current_thread() is threading.main_thread()
        assert calls == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_application_that_does_not_start_is_an_error_of_the_start() -> None:
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = HttpServer(application, sockets=[listener], limits=HttpLimits())
        with pytest.raises(Fatal, match="the application did not start"):
            asyncio.run(server.serve())


@each_loop
def test_two_servers_share_one_listening_socket(loop: str) -> None:
    """As several processes do: one ends, and the other gets all new connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    with served(Echo(), loop=loop, listener=listener.dup()) as other, other.connect() as kept:
        kept.sendall(get())
        assert one_answer(kept).status == 200
        with served(Echo(), loop=loop, listener=listener) as ending:
            ending.do(ending.server.drain)
            wait_until(lambda: ending.ended, what="the first has ended")
            assert [each.status for each in other.ask(get() * 3, half_close=True)] == [200] * 3
            kept.sendall(get())
            assert one_answer(kept).status == 200


async def _is_true(value: bool) -> bool:
    return value


def _is_closed(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return True
    return False
