"""The least that an HTTP server in Python does: llhttp, one decode, one answer, on a socket. No Kafka.

Decides what the floor is that ``sessionizer collect`` is compared with. It checks nothing of a request but
its events, keeps no deadline and stores nothing.
"""

import argparse
import asyncio
from typing import cast

import httptools
import uvloop

from worker.core.decode import Decoder
from worker.model.rules import IdentityRules, InputRules

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n"
    b'{"accepted":1,"refused":[]}'
)


class FloorProtocol(asyncio.Protocol):
    """One connection: a request's body is decoded, and answered in one write."""

    def __init__(self, decoder: Decoder) -> None:
        self._decode = decoder.decode
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._decode(b"".join(self._body))
        self._body = []
        assert self._transport is not None
        self._transport.write(ANSWER)


def decoder() -> Decoder:
    """As the collector has it with its defaults."""
    return Decoder(InputRules(), IdentityRules())


async def serve(port: int) -> None:
    """Serve on the loopback until cancelled."""
    loop, one = asyncio.get_running_loop(), decoder()
    server = await loop.create_server(lambda: FloorProtocol(one), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.collect_floor", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options.port))


if __name__ == "__main__":
    main()
