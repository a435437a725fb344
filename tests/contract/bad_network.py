"""A broker behind a proxy, and names for one test: what a contract needs that speaks of lost answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from testing.kafka.broker import LocalBroker
from testing.kafka.proxy import Proxy
from tests.contract.place import Place


class BadNetwork:
    """``broker`` sends its clients to ``port``, where each test puts its own proxy."""

    def __init__(self, broker: LocalBroker, port: int, prefix: str) -> None:
        self._broker = broker
        self._port = port
        self.prefix = prefix

    def proxy(self) -> Proxy:
        """The proxy of this test, not yet listening."""
        return Proxy(self._port, self._broker.bootstrap_servers)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[tuple[Proxy, Place]]:
        """The proxy, as long as the block lasts, and a place for transactions whose topics are there."""
        async with self.proxy() as proxy:
            place = Place(proxy.bootstrap_servers, self.prefix)
            await place.make_topics()
            yield proxy, place
