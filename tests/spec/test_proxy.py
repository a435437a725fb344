"""The bad network of the tests leaves nothing behind, whenever and whatever it cuts."""

import asyncio

from testing.kafka.broker import free_ports
from testing.kafka.proxy import Proxy


def test_a_connection_that_is_cut_before_it_has_begun_is_closed() -> None:
    async def scenario() -> None:
        here, there = free_ports(2)
        async with Proxy(here, f"127.0.0.1:{there}") as proxy, asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", here)
            nothing = asyncio.ensure_future(reader.read())
            while not nothing.done():
                proxy.cut()
                await asyncio.sleep(0)
            writer.close()
            assert await nothing == b""

    asyncio.run(scenario())
