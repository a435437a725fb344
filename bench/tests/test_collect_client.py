"""The load of requests counts each one once, times it from when it was due, and stays on this machine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from bench.collect_client import MOST_CONNECTIONS, Pool, Tally, Target, request, run
from bench.collect_floor import FloorProtocol, decoder

EVENT = b'[{"id":"e1","type":"click","device_id":"d1","timestamp":1700000000000}]'
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def floor_server() -> AsyncIterator[int]:
    one = decoder()
    server = await asyncio.get_running_loop().create_server(lambda: FloorProtocol(one), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def server_that(serve: Serve) -> AsyncIterator[int]:
    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve_and_close, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_a_closed_loop_gets_as_many_answers_as_it_sent_requests() -> None:
    async def load() -> Tally:
        async with floor_server() as port, Pool(Target(port), 7) as pool:
            await pool.closed_loop([request(port, EVENT)], 10)
            return await pool.closed_loop([request(port, EVENT)], 500)

    tally = run(load())
    assert tally.statuses == {200: 500}
    assert len(tally.latencies_s) == 500
    assert tally.lost == 0


def test_an_open_loop_keeps_its_rate() -> None:
    async def load() -> Tally:
        async with floor_server() as port, Pool(Target(port), 20) as pool:
            return await pool.open_loop([request(port, EVENT)], 500.0, 1.0)

    tally = run(load())
    assert 350 < tally.answers < 650
    assert tally.statuses.keys() == {200}


def test_a_request_that_waits_for_a_connection_is_timed_from_when_it_was_due() -> None:
    """One connection, and answers that take 50 ms: of 20 requests in 0.2 s the last waits for all others."""

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(EVENT))
            await asyncio.sleep(0.05)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async def load() -> Tally:
        async with server_that(slowly) as port, Pool(Target(port), 1) as pool:
            return await pool.open_loop([request(port, EVENT)], 100.0, 0.2)

    tally = run(load())
    assert tally.percentile_ms(100) > 50 * tally.answers - 250


def test_an_answer_in_pieces_is_one_answer_and_a_lost_connection_is_replaced() -> None:
    async def one_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in (b"HTTP/1.1 503 Ser", b"vice\r\nContent-Length: 4\r\n", b"\r\nno", b"pe"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.005)
        await reader.readline()  # the first one's body
        await reader.readline()  # the second request

    async def load() -> Tally:
        async with server_that(one_and_close) as port, Pool(Target(port), 1) as pool:
            return await pool.closed_loop([request(port, b"\n")], 4)

    tally = run(load())
    assert (tally.statuses, tally.lost) == ({503: 2}, 2)


def test_connections_that_were_closed_meanwhile_are_opened_again() -> None:
    async def load() -> Tally:
        async with floor_server() as port, Pool(Target(port), 3) as pool:
            for connection in pool.connections:
                connection.close()
            await asyncio.sleep(0.05)
            assert pool.open == 0
            return await pool.open_loop([request(port, EVENT)], 200.0, 0.2)

    assert run(load()).answers > 0


def test_the_load_is_for_this_machine_only_and_bounded() -> None:
    with pytest.raises(ValueError, match=r"192\.0\.2\.1 is not of the loopback"):
        Target(80, "192.0.2.1")

    async def too_many() -> None:
        Pool(Target(80), MOST_CONNECTIONS + 1)

    with pytest.raises(ValueError, match="12001 connections, at most 12000"):
        run(too_many())
