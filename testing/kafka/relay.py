"""A TCP relay between clients and one listener of a broker, which counts connections and cuts them.

Knows bytes and nothing of Kafka or TLS; ``proxy`` looks into plain requests. A listener is behind it when it
advertises the relay's port.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Relay:
    """Passes on between ``port`` and ``to_port``, both on 127.0.0.1, from entry to exit."""

    def __init__(self, port: int, to_port: int) -> None:
        self._port = port
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._wires: set[asyncio.Task[None]] = set()
        self.connections = 0
        """How many were made so far."""

    def cut(self) -> None:
        """Close all connections."""
        for wire in self._wires:
            wire.cancel()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._wires:
            await asyncio.wait(self._wires)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        wire = asyncio.get_running_loop().create_task(self._connect(reader, writer))
        self._wires.add(wire)
        wire.add_done_callback(self._wires.discard)
        wire.add_done_callback(lambda _: writer.close())

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            ways = [
                asyncio.ensure_future(_pass(reader, to_writer)),
                asyncio.ensure_future(_pass(to_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                to_writer.close()  # at once: another cut may cancel what is awaited here
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
