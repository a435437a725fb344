"""A load of HTTP requests on a server of this machine, cheap enough not to be what limits it.

Decides how requests are paced, timed and counted. Knows nothing of what is in them, nor of who answers.
Invariants: only addresses of the loopback are connected to, by a bounded number of connections; a request is
answered once, or counted as lost.
"""

import asyncio
import random
import re
import ssl
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from itertools import cycle
from types import TracebackType
from typing import Self, TypeVar, cast

import uvloop
from msgspec import Struct, field

MOST_CONNECTIONS = 12_000
MOST_REQUESTS = 10_000_000
_CONNECTED_AT_ONCE = 100
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NO_BODY = (204, 304)
T = TypeVar("T")


class Target(Struct, frozen=True):
    """A listening address of this machine. Raises ValueError for any other."""

    port: int
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if not ip_address(self.host).is_loopback:
            raise ValueError(f"{self.host} is not of the loopback: the load is for this machine only")


class Tally(Struct):
    """What came of a load. ``latencies_s``: of each answer, from when its request was due.

    ``late_s``: how long after it was due the latest request was written; a load that is late is limited by
    its own machine. ``lost``: requests whose connection ended before their answer.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    lost: int = 0
    late_s: float = 0.0
    wall_s: float = 0.0

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    def percentile_ms(self, share: float) -> float:
        """``share`` in percent; 100 is the greatest. Raises ValueError where nothing was answered."""
        if not self.latencies_s:
            raise ValueError("no request was answered")
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]


class Connection(asyncio.Protocol):
    """One connection with at most one request under way, kept alive as long as the server likes."""

    def __init__(self, ended: Callable[["Connection", int | None, bytes], None]) -> None:
        """``ended`` is called once a request: status and answer, or None where the connection was lost."""
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._read = b""
        self.due = 0.0
        self.waiting = False

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, data: bytes, due: float) -> None:
        """Write a whole request."""
        self.due = due
        self.waiting = True
        if self.is_open:
            self.write(data)
        else:  # lost since: reported as it would be later, and not within this call
            asyncio.get_running_loop().call_soon(self.connection_lost, None)

    def write(self, data: bytes) -> None:
        """Write some bytes, which are no request of their own; what is closed takes none."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        if self._read:
            data = self._read + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self._read = data
            return
        status = int(data[9:12])
        length = _LENGTH.search(data, 0, end)
        if length is None and status not in _NO_BODY:
            self.close()  # chunks are not read here: lost
            return
        whole = end + (int(length[1]) if length else 0)
        if len(data) < whole:
            self._read = data
            return
        self._read = data[whole:]
        self._end(status, data[:whole])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        if self.waiting:
            self._end(None, b"")

    def _end(self, status: int | None, answer: bytes) -> None:
        self.waiting = False
        self._ended(self, status, answer)


class Pool:
    """Connections to one target, opened on entry and closed on exit; a lost one is replaced when needed."""

    def __init__(self, target: Target, connections: int) -> None:
        if not 0 < connections <= MOST_CONNECTIONS:
            raise ValueError(f"{connections} connections, at most {MOST_CONNECTIONS}")
        self._target = target
        self._size = connections
        self._loop = asyncio.get_running_loop()
        self._ended: Callable[[Connection, int | None], None] = lambda *_: None
        self.connections: list[Connection] = []
        self.last_answer = b""

    async def __aenter__(self) -> Self:
        await self._fill()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = lambda *_: None
        for connection in self.connections:
            connection.close()
        await asyncio.sleep(0.01)  # each has to see its own end

    @property
    def open(self) -> int:
        """How many of the connections are open."""
        return sum(connection.is_open for connection in self.connections)

    async def closed_loop(self, requests: Sequence[bytes], count: int) -> Tally:
        """Send ``count`` requests, on each connection the next one after the answer."""
        _check(count)
        await self._fill()
        tally, done, began = Tally(), self._loop.create_future(), time.perf_counter()
        following = cycle(requests)
        unsent = count

        def send(connection: Connection) -> None:
            nonlocal unsent
            if unsent:
                unsent -= 1
                connection.send(next(following), time.perf_counter())

        def ended(connection: Connection, status: int | None) -> None:
            if self._count(tally, connection, status) == count:
                done.set_result(None)
            elif connection.is_open:
                send(connection)
            elif unsent:
                self._reconnect(connection, send)

        self._ended = ended
        for connection in self.connections:
            send(connection)
        await done
        tally.wall_s = time.perf_counter() - began
        return tally

    async def open_loop(self, requests: Sequence[bytes], per_second: float, seconds: float) -> Tally:
        """Send requests at a rate (times between them are exponential), whatever the answers do.

        A request that finds no idle connection waits for one, and its latency counts from when it was due.
        """
        _check(int(per_second * seconds))
        await self._fill()
        tally, began, rng = Tally(), time.perf_counter(), random.Random(1)
        following, waiting = cycle(requests), deque[float]()
        idle = deque(self.connections)
        under_way, none_under_way = 0, asyncio.Event()

        def send(connection: Connection, due: float) -> None:
            tally.late_s = max(tally.late_s, time.perf_counter() - due)
            connection.send(next(following), due)

        def free(connection: Connection) -> None:
            if waiting:
                send(connection, waiting.popleft())
            else:
                idle.append(connection)

        def ended(connection: Connection, status: int | None) -> None:
            nonlocal under_way
            under_way -= 1
            if not under_way:
                none_under_way.set()
            self._count(tally, connection, status)
            if connection.is_open:
                free(connection)
            else:
                self._reconnect(connection, free)

        self._ended = ended
        due = began
        while (due := due + rng.expovariate(per_second)) < began + seconds:
            if (pause_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause_s)
            under_way += 1
            while idle and not idle[0].is_open:
                self._reconnect(idle.popleft(), free)
            if idle:
                send(idle.popleft(), due)
            else:
                waiting.append(due)
        while under_way:
            none_under_way.clear()
            await none_under_way.wait()
        tally.wall_s = time.perf_counter() - began
        return tally

    def _count(self, tally: Tally, connection: Connection, status: int | None) -> int:
        if status is None:
            tally.lost += 1
        else:
            tally.statuses[status] += 1
            tally.latencies_s.append(time.perf_counter() - connection.due)
        return tally.answers + tally.lost

    async def _fill(self) -> None:
        """Open what is missing, or was closed since, as servers do with what is idle."""
        self.connections = [connection for connection in self.connections if connection.is_open]
        while len(self.connections) < self._size:
            count = min(_CONNECTED_AT_ONCE, self._size - len(self.connections))
            self.connections += await asyncio.gather(*(self._connect() for _ in range(count)))

    async def _connect(self) -> Connection:
        def ended(connection: Connection, status: int | None, answer: bytes) -> None:
            self.last_answer = answer
            self._ended(connection, status)

        target = self._target
        _, connection = await self._loop.create_connection(
            lambda: Connection(ended),
            target.host,
            target.port,
            ssl=target.tls,
            server_hostname="localhost" if target.tls else None,
        )
        return connection

    def _reconnect(self, lost: Connection, then: Callable[[Connection], None]) -> None:
        """Replace a lost connection. Where nobody listens any more the run fails, rather than waits."""

        async def replace() -> None:
            connection = await self._connect()
            self.connections[self.connections.index(lost)] = connection
            then(connection)

        self._loop.create_task(replace())


def _check(count: int) -> None:
    if not 0 < count <= MOST_REQUESTS:
        raise ValueError(f"{count} requests, at most {MOST_REQUESTS}")


def request(port: int, body: bytes, headers: dict[str, str] | None = None, path: str = "/v1/events") -> bytes:
    """A POST as it goes over the wire."""
    head = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    fields = {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(body))}
    head += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*head, "", ""]).encode() + body


def run(load: Awaitable[T]) -> T:
    """Run it on uvloop, which takes a third of the CPU time of asyncio's own loop."""

    async def main() -> T:
        return await load

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())
