"""Accepts TLS connections: each with the certificate of its moment, and with its handshake counted and timed.

The event loop's own server keeps one context for ever, and counts no connection before its handshake is done.
It must not know HTTP. Invariants: handshakes count as connections; what fails in one ends no other.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable

from worker.adapters.http.connections import Connections, reset
from worker.adapters.http.protocol import HttpProtocol
from worker.adapters.http.tls import Certificate

_AT_ONCE = 64
_PAUSE_S = 0.5


class TlsAcceptor:
    """A listening socket, until it is closed. It looks like the event loop's server."""

    def __init__(
        self,
        listener: socket.socket,
        certificate: Certificate,
        shared: Connections,
        make: Callable[[], HttpProtocol],
    ) -> None:
        self._listener = listener
        self._certificate = certificate
        self._shared = shared
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def start(self, backlog: int) -> None:
        """Listen."""
        self._listener.setblocking(False)
        self._listener.listen(backlog)
        self._resume()

    def close(self) -> None:
        """Accept no more. Handshakes that have begun keep their deadline."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._listener.fileno())

    async def wait_closed(self) -> None:
        """Wait until the last handshake has ended."""
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _resume(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def take(self, connection: socket.socket) -> None:
        """Begin the handshake of a connection that was accepted elsewhere."""
        self._shared.handshakes += 1
        task = self._loop.create_task(self._shake_hands(connection))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    def _accept(self) -> None:
        shared = self._shared
        for _ in range(_AT_ONCE):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no more open files: the listener stays readable, so that waiting is all
                shared.counters.refused["no_open_files"] += 1
                self._loop.remove_reader(self._listener.fileno())
                self._loop.call_later(_PAUSE_S, self._resume)
                return
            if shared.is_full:
                shared.counters.refused["too_many_connections"] += 1
                reset(connection)
                connection.close()
            else:
                self.take(connection)

    async def _shake_hands(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        protocol = self._make()
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._certificate.context,
                ssl_handshake_timeout=self._shared.limits.handshake_timeout_s,
                ssl_shutdown_timeout=self._shared.limits.linger_s,
            )
        except (OSError, ssl.SSLError):  # TimeoutError is an OSError
            self._shared.counters.refused["tls_handshake"] += 1
            connection.close()
        finally:
            if not protocol.has_begun:  # else it has counted itself
                self._shared.handshakes -= 1
