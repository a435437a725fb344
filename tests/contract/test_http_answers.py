"""How an application's messages become an answer, whatever the application does."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from testing.wait import wait_until
from tests.contract.http_peer import (
    CLOSE,
    Answer,
    Receive,
    Running,
    Send,
    get,
    lifespan,
    post,
    received,
    request,
    served,
)
from worker.adapters.http.connections import Message

Answering = Callable[[Send], Awaitable[None]]


class Sends:
    """An application that sends these messages."""

    def __init__(self, *messages: Message, then: BaseException | None = None) -> None:
        self._messages = messages
        self._then = then

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        for message in self._messages:
            await send(dict(message))
        if self._then is not None:
            raise self._then


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    """The head of an answer."""
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: bytes, *, more: bool = False) -> Message:
    """A piece of its body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


def asked(application: Any, data: bytes) -> tuple[list[Answer], Running]:
    """Ask a server that has this application."""
    with served(application) as server:
        return server.ask(data), server


def one(application: Any, data: bytes) -> Answer:
    """The only answer, where the application did no wrong."""
    (answer,), server = asked(application, data)
    assert server.failures == []
    return answer


def test_an_answer_has_its_date_and_length_and_no_name_of_the_server() -> None:
    answer = one(Sends(start(201, (b"x", b"y")), body(b"abc")), get("/", CLOSE))
    assert answer.status == 201
    assert answer.body == b"abc"
    assert list(answer.headers) == ["date", "x", "content-length", "connection"]
    assert answer.headers["content-length"] == "3"
    assert answer.headers["date"].endswith(" GMT")


def test_the_headers_of_the_server_are_not_the_applications() -> None:
    own = ((b"server", b"x"), (b"date", b"x"), (b"transfer-encoding", b"x"), (b"content-length", b"3"))
    answer = one(Sends(start(200, *own), body(b"abc")), get("/", CLOSE))
    assert "x" not in answer.headers.values()
    assert answer.headers["content-length"] == "3"


def test_an_answer_is_one_write() -> None:
    """Two would wait for each other's acknowledgement, and cost twice as much."""
    with served(Sends(start(), body(b"abc"))) as server, server.connect() as connection:
        connection.sendall(get("/", CLOSE))
        assert connection.recv(65_536).endswith(b"abc")


def test_the_application_may_ask_to_close() -> None:
    found, _ = asked(Sends(start(200, (b"connection", b"close")), body(b"")), get())
    assert [each.headers["connection"] for each in found] == ["close"]


def test_http_1_0_is_kept_alive_where_it_asks_to() -> None:
    head = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    found, _ = asked(Sends(start(), body(b"abc")), head + b"GET / HTTP/1.0\r\n\r\n")
    assert [each.headers["connection"] for each in found] == ["keep-alive", "close"]


def test_head_gets_the_head_alone() -> None:
    with served(Sends(start(), body(b"abc"))) as server, server.connect() as connection:
        connection.sendall(request("HEAD", "/", CLOSE))
        data = received(connection)
    assert b"content-length: 3\r\n" in data
    assert data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_length(status: int) -> None:
    with served(Sends(start(status), body(b"abc"))) as server, server.connect() as connection:
        connection.sendall(get("/", CLOSE))
        data = received(connection)
    assert b"content-length" not in data
    assert data.endswith(b"\r\n\r\n")


def test_a_stream_comes_in_chunks() -> None:
    application = Sends(
        start(), body(b"abc", more=True), body(b"", more=True), body(b"de", more=True), body(b"")
    )
    answer = one(application, get("/", CLOSE))
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.body == b"abcde"


def test_a_stream_of_a_given_length_comes_as_it_is() -> None:
    application = Sends(start(200, (b"content-length", b"5")), body(b"abc", more=True), body(b"de"))
    answer = one(application, get("/", CLOSE))
    assert "transfer-encoding" not in answer.headers
    assert answer.body == b"abcde"


def test_a_stream_to_http_1_0_ends_with_the_connection() -> None:
    with (
        served(Sends(start(), body(b"abc", more=True), body(b"de"))) as server,
        server.connect() as connection,
    ):
        connection.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, _, data = received(connection).partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"chunked" not in head
    assert data == b"abcde"


def test_a_stream_to_head_has_no_body() -> None:
    application = Sends(start(), body(b"abc", more=True), body(b"de"))
    with served(application) as server, server.connect() as connection:
        connection.sendall(request("HEAD", "/", CLOSE))
        assert received(connection).endswith(b"\r\n\r\n")


WRONG: dict[str, Sends] = {
    "an exception": Sends(then=ValueError("x")),
    "an exception behind the head": Sends(start(), then=ValueError("x")),
    "no answer": Sends(),
    "a head alone": Sends(start()),
    "a body alone": Sends(body(b"abc")),
    "an unknown message": Sends({"type": "http.response.push"}),
    "a header that ends the line": Sends(start(200, (b"x", b"y\r\nz: a")), body(b"")),
    "a header's name that ends the line": Sends(start(200, (b"x\nz", b"y")), body(b"")),
    "a header with a bare CR": Sends(start(200, (b"x", b"y\rz")), body(b"")),
    "a shorter body than its length": Sends(start(200, (b"content-length", b"4")), body(b"abc")),
    "a longer body than its length": Sends(start(200, (b"content-length", b"2")), body(b"abc")),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_application_that_fails_is_answered_for(name: str) -> None:
    found, server = asked(WRONG[name], get() + get("/", CLOSE))
    assert [(each.status, each.json) for each in found] == [(500, {"error": "internal"})] * 2
    assert len(server.failures) == server.server.counters.failures == 2
    assert server.server.pending_bytes == 0


CUT: dict[str, Sends] = {
    "an exception": Sends(start(), body(b"abc", more=True), then=ValueError("x")),
    "no end": Sends(start(), body(b"abc", more=True)),
    "a shorter stream than its length": Sends(
        start(200, (b"content-length", b"9")), body(b"abc", more=True), body(b"")
    ),
    "a longer stream than its length": Sends(
        start(200, (b"content-length", b"2")), body(b"a", more=True), body(b"bc")
    ),
}


@pytest.mark.parametrize("name", CUT)
def test_half_an_answer_is_never_taken_for_a_whole_one(name: str) -> None:
    with served(CUT[name]) as server, server.connect() as connection:
        connection.sendall(get())
        with contextlib.suppress(ConnectionResetError):
            data = received(connection)
            assert not data.endswith(b"0\r\n\r\n")
        assert len(server.failures) == 1


def test_what_is_sent_behind_the_end_is_an_error_of_the_application() -> None:
    found, server = asked(Sends(start(), body(b"abc"), body(b"de")), get("/", CLOSE))
    assert [each.body for each in found] == [b"abc"]
    assert len(server.failures) == 1


def test_a_stream_waits_for_its_reader() -> None:
    sent = 0

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await send(start())
        for _ in range(1_000):
            await send(body(b"a" * 100_000, more=True))
            sent += 1
        await send(body(b""))

    with served(application) as server, server.connect() as connection:
        connection.sendall(get("/", CLOSE))
        wait_until(lambda: sent, what="it has begun")
        assert sent < 500  # of 100 MB the kernel keeps some
        data = received(connection)
    assert data.count(b"a" * 100_000) == 1_000
    assert data.endswith(b"\r\n0\r\n\r\n")


def test_starlette_works_on_it() -> None:
    async def echo(request: Request) -> JSONResponse:
        return JSONResponse({"body": (await request.body()).decode(), "query": dict(request.query_params)})

    async def stream(_: Request) -> StreamingResponse:
        async def pieces() -> Any:
            for n in range(3):
                yield str(n)
                await asyncio.sleep(0)

        return StreamingResponse(pieces())

    routes = [Route("/echo", echo, methods=["POST"]), Route("/stream", stream)]
    found, server = asked(
        Starlette(routes=routes), post(b"abc", path="/echo?x=%20") + get("/stream") + get("/none", CLOSE)
    )
    assert server.failures == []
    assert [each.status for each in found] == [200, 200, 404]
    assert found[0].json == {"body": "abc", "query": {"x": " "}}
    assert found[1].body == b"012"
