"""What the HTTP server costs beside uvicorn's own protocol: ``python -m bench.http_cost``.

All give one constant answer and store nothing: the floor (llhttp and a write, no checks), uvicorn with its
httptools protocol, and the collector's server. Decides the load: requests of one event with a browser's
headers, then idle connections. Each figure is the least of some turns, since other work only adds to it.
"""

import argparse
import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httptools
import uvicorn
import uvloop
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.collect_client import Pool, Target, request, run
from bench.process_cost import ProcessTree
from testing.child_process import end_with_parent
from testing.wait import wait_until
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.server import HttpServer

CONNECTIONS = 32
_AT_ONCE = 200
_SETTLE_S = 2.0
_BODY = (
    b'[{"id":"e1","type":"page_view","device_id":"d1","timestamp":1764453600000,"url":"https://a.example/"}]'
)
_ANSWER = b'{"accepted":1,"refused":[],"received_at":1764453600123}'
_FLOOR_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_ANSWER), _ANSWER)
_HEADERS = {
    "Authorization": "Bearer wk_0123456789abcdef",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0",
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
    "Content-Type": "text/plain;charset=UTF-8",
    "Origin": "https://a.example",
    "Referer": "https://a.example/",
}


class Cost(Struct, frozen=True):
    """``us``: CPU a request. ``idle_kb``: resident memory of one idle connection."""

    server: str
    us: float
    idle_kb: float
    memory_mb: float


class Floor(asyncio.Protocol):
    """llhttp, and one write."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(_FLOOR_ANSWER)


async def constant(scope: Any, receive: Any, send: Any) -> None:
    """An application with the collector's headers, and nothing else."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    more = True
    while more:
        more = (await receive())["more_body"]
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"access-control-allow-origin", b"*"),
        (b"access-control-expose-headers", b"retry-after"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", b"0123456789abcdef"),
        (b"content-length", b"%d" % len(_ANSWER)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


async def _serve_floor(listener: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(Floor, sock=listener)
    await server.serve_forever()


async def _serve_uvicorn(listener: socket.socket) -> None:
    config = uvicorn.Config(
        constant, http="httptools", ws="none", access_log=False, log_config=None, timeout_keep_alive=600
    )
    await uvicorn.Server(config).serve([listener])


async def _serve_ours(listener: socket.socket) -> None:
    limits = HttpLimits(max_connections=20_000, header_timeout_s=600, idle_timeout_s=600)
    await HttpServer(constant, sockets=[listener], limits=limits).serve()


SERVERS: dict[str, Callable[[socket.socket], Any]] = {
    "floor": _serve_floor,
    "uvicorn": _serve_uvicorn,
    "collector's": _serve_ours,
}


@contextlib.contextmanager
def started(name: str) -> Iterator[tuple[int, ProcessTree]]:
    """The port and the process of a server."""
    with socket.create_server(("127.0.0.1", 0), backlog=4_096) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.http_cost", "--serve", name, "--socket", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            preexec_fn=end_with_parent(),
        )
    try:
        wait_until(lambda: _answers(port), what=f"{name} answers")
        yield port, ProcessTree(process.pid)
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as asking:
        asking.sendall(request(port, _BODY, _HEADERS))
        return asking.recv(100).startswith(b"HTTP/1.1 200")
    return False


async def cost_of_requests(port: int, tree: ProcessTree, count: int) -> float:
    """Microseconds of CPU a request."""
    one = [request(port, _BODY, _HEADERS)]
    async with Pool(Target(port), CONNECTIONS) as pool:
        await pool.closed_loop(one, count // 5)
        before = tree.read()[0]
        tally = await pool.closed_loop(one, count)
        used_s = tree.read()[0] - before
    assert tally.statuses[200] == count, tally.statuses
    return 1e6 * used_s / count


async def memory_of_idle(port: int, tree: ProcessTree, connections: int) -> tuple[float, float]:
    """KB a connection after one request each, and MB of the process with all of them."""
    one = [request(port, _BODY, _HEADERS)]
    start_mb = tree.read()[1]
    async with contextlib.AsyncExitStack() as opened:
        for _ in range(0, connections, _AT_ONCE):
            pool = await opened.enter_async_context(Pool(Target(port), _AT_ONCE))
            await pool.closed_loop(one, _AT_ONCE)
        await asyncio.sleep(_SETTLE_S)
        idle_mb = tree.read()[1]
    return (idle_mb - start_mb) * 1024 / connections, idle_mb


def measure(turns: int, count: int, connections: int) -> list[Cost]:
    """Every server in turns; the least of each figure."""
    us: dict[str, list[float]] = {name: [] for name in SERVERS}
    idle: dict[str, list[tuple[float, float]]] = {name: [] for name in SERVERS}
    for turn in range(1, turns + 1):
        for name in SERVERS:
            with started(name) as (port, tree):
                us[name].append(run(cost_of_requests(port, tree, count)))
            with started(name) as (port, tree):
                idle[name].append(run(memory_of_idle(port, tree, connections)))
            clock = time.strftime("%H:%M:%S")
            sys.stderr.write(
                f"{clock} {name}, turn {turn}: {us[name][-1]:.1f} us, {idle[name][-1][0]:.1f} KB\n"
            )
    return [Cost(name, min(us[name]), *min(idle[name])) for name in SERVERS]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.http_cost", description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--count", type=int, default=20_000, help="requests a turn")
    parser.add_argument("--connections", type=int, default=4_000, help="idle ones")
    parser.add_argument("--serve", choices=list(SERVERS), help=argparse.SUPPRESS)
    parser.add_argument("--socket", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(SERVERS[options.serve](socket.socket(fileno=options.socket)))
        return
    table = Table("server", "us a request", "KB an idle connection", "MB with all of them")
    for each in measure(options.turns, options.count, options.connections):
        table.add_row(each.server, f"{each.us:.1f}", f"{each.idle_kb:.1f}", f"{each.memory_mb:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
