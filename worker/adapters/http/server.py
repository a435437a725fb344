"""The HTTP server of a process: from listening sockets to the end of the last answer.

Decides what starts and ends when. uvicorn has the order (application, sockets, ticks, shutdown), the protocol
class is this package's. It must not know signals, which are the process's, nor what is served. Invariants: no
answer that was begun in time is cut off without being counted; the listening sockets close before the
connections do.
"""

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Generator

import uvicorn

from worker.adapters.http.acceptor import TlsAcceptor
from worker.adapters.http.connections import (
    Application,
    Connections,
    HttpCounters,
    Refusal,
    plain_refusal,
)
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.protocol import HttpProtocol
from worker.adapters.http.tls import Certificate, TlsFiles
from worker.errors import Fatal

_BACKLOG = 4_096
_LOOP_CLOSES_S = 0.05
_REREAD_S = 2.0


class HttpServer:
    """Serves an ASGI application on sockets that are bound already, so that processes can share them."""

    def __init__(
        self,
        app: Application,
        *,
        sockets: list[socket.socket],
        limits: HttpLimits,
        tls: TlsFiles | None = None,
        refusal: Refusal = plain_refusal,
        on_failure: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        """Fatal where the certificate cannot be used.

        ``refusal`` makes the answers to what never reaches the application. ``on_failure`` gets what an
        application raised; its text may hold what a sender sent.
        """
        self._sockets = sockets
        self._shared = Connections(app, limits, refusal, on_failure)
        self.certificate = Certificate(tls) if tls is not None else None
        config = uvicorn.Config(
            app,
            http=HttpProtocol,
            ws="none",
            interface="asgi3",
            lifespan="auto",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            workers=1,
            backlog=_BACKLOG,
        )
        self._server = _Server(config, self._shared, self.certificate)

    @property
    def counters(self) -> HttpCounters:
        """What happened since the start."""
        return self._shared.counters

    @property
    def connections(self) -> int:
        """How many are open, handshakes included."""
        return len(self._shared.open) + self._shared.handshakes

    @property
    def pending_bytes(self) -> int:
        """Bytes of bodies that are being read, wait, or are with the application."""
        return self._shared.pending_bytes

    @property
    def has_started(self) -> bool:
        """Whether the sockets accept connections."""
        return self._server.started

    async def serve(self) -> int:
        """Serve until drained; how many requests were left without an answer. Fatal where the start fails."""
        sweep = asyncio.create_task(self._shared.sweep_forever())
        reread = asyncio.create_task(self._reread_forever())
        try:
            await self._server.serve(sockets=self._sockets)
        finally:
            for task in (sweep, reread):
                task.cancel()
            await asyncio.gather(sweep, reread, return_exceptions=True)
        for each in tuple(self._shared.open):
            each.abort()
        await asyncio.gather(*self._shared.tasks, return_exceptions=True)
        return self._shared.counters.unanswered

    def drain(self, *, delay_s: float = 0.0, within_s: float = 15.0) -> None:
        """Let ``serve`` end: answers ask to close at once, and after ``delay_s`` nothing new is accepted.

        Then idle connections close, half-read requests keep their deadline, and ``within_s`` later what is
        not answered is cancelled. A second call may only shorten the delay.
        """
        self._shared.draining = True
        self._server.config.timeout_graceful_shutdown = max(1, math.ceil(within_s))
        asyncio.get_running_loop().call_later(delay_s, self._server.stop)

    async def _reread_forever(self) -> None:
        while self.certificate is not None:
            await asyncio.sleep(_REREAD_S)
            self.certificate.reread()


class _Server(uvicorn.Server):
    """uvicorn's, without its signals, with this package's connections, and with TLS of its own."""

    def __init__(self, config: uvicorn.Config, shared: Connections, certificate: Certificate | None) -> None:
        super().__init__(config)
        self._shared = shared
        self._certificate = certificate
        self.server_state.connections = shared.open
        self.server_state.tasks = shared.tasks

    def stop(self) -> None:
        """Accept no more and end."""
        self._shared.stopping = True
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the process's: uvicorn would raise SIGTERM once more at its end."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, but connections are made of this package's classes."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise Fatal("the application did not start")
        self._shared.state = self.lifespan.state
        loop = asyncio.get_running_loop()

        self.servers = []
        for each in sockets or ():
            if self._certificate is None:
                self.servers.append(
                    await loop.create_server(self._make, sock=each, backlog=self.config.backlog)
                )
            else:
                acceptor = TlsAcceptor(each, self._certificate, self._shared, self._make)
                acceptor.start(self.config.backlog)
                self.servers.append(acceptor)  # type: ignore[arg-type]  # uvicorn closes it and waits for it
        self.started = True

    def _make(self) -> HttpProtocol:
        loop = asyncio.get_running_loop()
        return HttpProtocol(self._shared, loop, is_tls=self._certificate is not None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listening sockets and then, as uvicorn does it, the connections.

        Connections that wait to be accepted are accepted first: the system resets them when the last
        process closes its socket. Copies of the sockets keep the queue until the event loop, which closes
        its own a moment later, accepts no more.
        """
        copies = [each.dup() for each in sockets or ()]
        for server in self.servers:
            server.close()
        for each in sockets or ():
            each.close()
        await asyncio.sleep(_LOOP_CLOSES_S)
        for copy, server in zip(copies, self.servers, strict=True):
            await self._accept_all(copy, server)
            copy.close()
        for server in self.servers:
            if isinstance(server, TlsAcceptor):
                await server.wait_closed()
        await super().shutdown([])

    async def _accept_all(self, listener: socket.socket, server: object) -> None:
        """Accept what waits."""
        listener.setblocking(False)
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setblocking(False)
            if isinstance(server, TlsAcceptor):
                server.take(connection)
            else:
                await asyncio.get_running_loop().connect_accepted_socket(self._make, connection)

    async def on_tick(self, counter: int) -> bool:
        """Every tenth of a second: the date of answers, and whether to end."""
        should_exit = await super().on_tick(counter)
        if counter % 10 == 0:
            headers = self.server_state.default_headers
            self._shared.date_line = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        return should_exit
