"""A bad network between clients and one broker: it drops or holds the requests that a test names.

Decides what happens to single requests and answers, by their kind. Knows Kafka's frames and nothing of what
is in them. A broker is behind it when its advertised listener is the proxy's address. Invariant: without a
mishap everything passes unchanged, in order.
"""

import asyncio
import socket
import struct
from enum import Enum, IntEnum, auto
from types import TracebackType
from typing import Self


class Api(IntEnum):
    """Kinds of requests, by their number in the protocol."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    SYNC_GROUP = 14
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


class NetworkFault(Enum):
    """What happens to one request."""

    REQUEST_LOST = auto()
    """The broker never gets it; the connection is cut."""
    ANSWER_LOST = auto()
    """The broker carries it out; its answer never arrives, the connection is cut instead."""
    ANSWER_EATEN = auto()
    """The same, but the connection stays open and silent: the client has to time out."""
    HELD = auto()
    """The connection is cut; the request is kept, to arrive later than anybody expects: ``deliver`` it."""


class Mishap:
    """One request that something happened, or is going to happen, to."""

    def __init__(self, api: Api, kind: NetworkFault) -> None:
        self.api = api
        self.kind = kind
        self.happened = asyncio.Event()
        self.request = b""  # the whole frame, once it has happened


class Proxy:
    """Listens on ``port`` of the loopback interface and passes on to the broker at that address.

    ``late``: another address of the same broker, which asks nobody for a login; there arrives what was held.
    As an asynchronous context manager it listens from entry to exit.
    """

    def __init__(self, port: int, broker: str, late: str | None = None) -> None:
        self._port = port
        self._broker_host, _, self._broker_port = broker.partition(":")
        self._late_host, _, self._late_port = (late or broker).partition(":")
        self._mishaps: list[Mishap] = []
        self._silent = False
        self._listens = False
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()  # to the clients

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    def next(self, api: Api, kind: NetworkFault) -> Mishap:
        """Let this happen to the next request of that kind."""
        mishap = Mishap(api, kind)
        self._mishaps.append(mishap)
        return mishap

    def withdraw(self, mishap: Mishap) -> None:
        """Let it not happen, if it has not yet."""
        if mishap in self._mishaps:
            self._mishaps.remove(mishap)

    def fall_silent(self) -> None:
        """Pass on nothing any more, neither way; connections stay open and new ones are accepted."""
        self._silent = True

    def speak_again(self) -> None:
        """End the silence. What was sent into it is lost; its connections are cut."""
        self._silent = False
        self.cut()

    def cut(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.cancel()

    def reset(self) -> None:
        """Reset all connections (RST): what was being sent is lost."""
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            if connection is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.cut()

    async def deliver(self, mishap: Mishap) -> bytes:
        """Let a request that was held arrive now; the broker's answer, without its length and number."""
        reader, writer = await asyncio.open_connection(self._late_host, self._late_port)
        writer.write(mishap.request)
        answer = await _frame(reader)
        writer.close()
        await writer.wait_closed()
        return answer[8:]

    async def come_back(self) -> None:
        """Listen."""
        self._listens = True
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)

    async def leave(self) -> None:
        """Cut everything; from now on connections are refused."""
        assert self._server is not None
        self._listens = False
        self._server.close()
        self.cut()
        if self._connections:
            await asyncio.wait(self._connections)
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.come_back()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._listens:  # it came while we left
            writer.close()
            return
        connection = asyncio.get_running_loop().create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        # Not in ``_connect``: what is cut before its first step never runs.
        connection.add_done_callback(lambda _: writer.close())

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until either side, a mishap or ``cut`` ends it."""
        try:
            broker_reader, broker_writer = await asyncio.open_connection(self._broker_host, self._broker_port)
        except (OSError, asyncio.CancelledError):
            return
        self._writers.add(writer)
        due: dict[int, Mishap] = {}  # by number of the request: what is to happen to its answer
        ways = [
            asyncio.ensure_future(self._pass_requests(reader, broker_writer, due)),
            asyncio.ensure_future(self._pass_answers(broker_reader, writer, due)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # cut
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers.discard(writer)
            broker_writer.close()

    async def _pass_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, due: dict[int, Mishap]
    ) -> None:
        while True:
            frame = await _frame(reader)
            api, _version, number = struct.unpack_from(">hhi", frame, 4)
            mishap = self._take_mishap(api)
            if mishap is not None:
                mishap.request = frame
                if mishap.kind in (NetworkFault.REQUEST_LOST, NetworkFault.HELD):
                    mishap.happened.set()
                    return
                due[number] = mishap
            if not self._silent:
                writer.write(frame)
                await writer.drain()

    async def _pass_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, due: dict[int, Mishap]
    ) -> None:
        while True:
            frame = await _frame(reader)
            (number,) = struct.unpack_from(">i", frame, 4)
            mishap = due.pop(number, None)
            if mishap is not None:
                mishap.happened.set()
                if mishap.kind is NetworkFault.ANSWER_LOST:
                    return
            elif not self._silent:
                writer.write(frame)
                await writer.drain()

    def _take_mishap(self, api: int) -> Mishap | None:
        for mishap in self._mishaps:
            if mishap.api == api:
                self._mishaps.remove(mishap)
                return mishap
        return None


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """The next request or answer, with its length in front."""
    size = await reader.readexactly(4)
    return size + await reader.readexactly(int.from_bytes(size, "big"))
