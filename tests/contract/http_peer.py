"""A running HTTP server inside the test's process, and clients that write whatever bytes they like.

Decides how a test asks and how long it waits at most. Knows nothing of the server's inside: only its class,
its limits, and what an application gets.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvloop

from testing.wait import wait_until
from worker.adapters.http.connections import Message, Refusal, plain_refusal
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.server import HttpServer
from worker.adapters.http.tls import TlsFiles

PATIENCE_S = 30.0
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

Send = Callable[[Message], Any]
Receive = Callable[[], Any]


class Echo:
    """An application that answers with what it got. ``seen``: each request that reached it.

    Paths below ``/wait/`` are answered once ``released`` is set, in the server's loop.
    """

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.waiting = 0
        self.disconnected = 0
        self.released = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        got = await receive()
        request = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "headers": [
                [name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]
            ],
            "body": got["body"].decode("latin-1"),
        }
        self.seen.append(request)
        if scope["path"].startswith("/wait/"):
            self.waiting += 1
            await self.released.wait()
            self.waiting -= 1
        elif scope["path"] == "/until-disconnect":
            assert (await receive())["type"] == "http.disconnect"
            self.disconnected += 1
            return
        await answer(send, json.dumps(request).encode())


async def lifespan(receive: Receive, send: Send) -> None:
    """Starts and ends at once."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    """A whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"x/y")]})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Answer:
    """One answer as its client reads it; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


@dataclass
class Running:
    """A server that runs in a thread of its own."""

    server: HttpServer
    port: int
    loop: asyncio.AbstractEventLoop
    failures: list[BaseException]
    ended: list[int] = field(default_factory=list)

    def connect(self) -> socket.socket:
        """A connection, closed by whoever asks for it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def ask(self, data: bytes, *, half_close: bool = False) -> list[Answer]:
        """Send and read until the server closes; all answers."""
        with self.connect() as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return answers(received(connection))

    def do(self, call: Callable[[], Any]) -> None:
        """Call it in the server's loop."""
        self.loop.call_soon_threadsafe(call)


@contextlib.contextmanager
def served(
    application: Any,
    *,
    limits: HttpLimits | None = None,
    tls: TlsFiles | None = None,
    refusal: Refusal = plain_refusal,
    loop: str = "uvloop",
    listener: socket.socket | None = None,
) -> Iterator[Running]:
    """A server for the length of the block; at its end it is drained. It closes the listening socket."""
    listener = listener or socket.create_server(("127.0.0.1", 0))
    failures: list[BaseException] = []
    server = HttpServer(
        application,
        sockets=[listener],
        limits=limits or HttpLimits(),
        tls=tls,
        refusal=refusal,
        on_failure=failures.append,
    )
    own = LOOPS[loop]()
    running = Running(server, listener.getsockname()[1], own, failures)
    thread = threading.Thread(target=_serve, args=(own, running), daemon=True)
    thread.start()
    wait_until(lambda: server.has_started or not thread.is_alive(), what="the server accepts connections")
    try:
        yield running
    finally:
        if thread.is_alive():
            running.do(lambda: server.drain(within_s=1))
        thread.join(PATIENCE_S)
        own.close()
    assert not thread.is_alive()


def _serve(loop: asyncio.AbstractEventLoop, running: Running) -> None:
    asyncio.set_event_loop(loop)
    running.ended.append(loop.run_until_complete(running.server.serve()))


def received(connection: socket.socket | ssl.SSLSocket) -> bytes:
    """Everything until the peer closes."""
    pieces = []
    while piece := connection.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def answers(data: bytes) -> list[Answer]:
    """Every answer in these bytes; AssertionError where the last one is not whole."""
    found = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, head
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        body, data = _body(headers, data)
        found.append(Answer(int(line.split(" ")[1]), headers, body))
    return found


def _body(headers: dict[str, str], data: bytes) -> tuple[bytes, bytes]:
    if "content-length" in headers:
        length = int(headers["content-length"])
        assert len(data) >= length, "the answer is not whole"
        return data[:length], data[length:]
    body = b""
    while headers.get("transfer-encoding") == "chunked":
        size, _, data = data.partition(b"\r\n")
        body, data = body + data[: int(size, 16)], data[int(size, 16) + 2 :]
        if int(size, 16) == 0:
            break
    return body, data


def one_answer(connection: socket.socket | ssl.SSLSocket) -> Answer:
    """Read one answer with a Content-Length, and nothing behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(1)
        assert piece, f"closed after {data!r}"
        data += piece
    length = next(
        (int(line.split(b":")[1]) for line in data.split(b"\r\n") if line.startswith(b"content-length")), 0
    )
    while length:
        piece = connection.recv(length)
        assert piece, "closed in the middle of an answer"
        data += piece
        length -= len(piece)
    (found,) = answers(data)
    return found


def get(path: str = "/", *headers: str) -> bytes:
    """A GET with these lines of headers."""
    return request("GET", path, *headers)


def post(body: bytes, *headers: str, path: str = "/") -> bytes:
    """A POST with its length."""
    return request("POST", path, f"Content-Length: {len(body)}", *headers) + body


def request(method: str, path: str, *headers: str) -> bytes:
    """A head with a Host."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a.example", *headers, "", ""]).encode("latin-1")


CLOSE = "Connection: close"
