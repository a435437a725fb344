"""What a request costs inside the collector, in memory: ``python -m bench.collect_path``.

Decides how the path is cut out: real protocol, application, keys and figures, between a transport that only
counts and a producer that stores nothing and answers in the next turn of the loop. Beside it, in turns, the
floor: llhttp and one decode. Only the ratio of the two counts; neither has sockets or Kafka.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import uvloop
from rich import box
from rich.console import Console
from rich.table import Table

from bench.collect_client import request
from bench.collect_cost import CASES, Case, bodies
from bench.collect_floor import FloorProtocol, decoder
from bench.collect_servers import KEY
from worker.adapters.http.connections import Connections
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.protocol import HttpProtocol
from worker.adapters.system_clock import SystemClock
from worker.collect.answers import protocol_refusal
from worker.collect.application import Application
from worker.collect.write_keys import WriteKeys
from worker.collector.figures import Figures, Moment
from worker.config import Config
from worker.config.key_entries import WriteKey, digest_of
from worker.ports import Clock, Delivery, RawRecord
from worker.process_limits import collect_garbage_seldom

PARTITIONS = 4
CONNECTIONS = 64
_PASSES = 5
_NOTHING = Moment(
    ready=True, pending_bytes=0, connections=0, stalled_partitions=0, keys_loaded=1, native_failures=0
)


class CountingTransport(asyncio.Transport):
    """Takes answers, counts them, and keeps the last one."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.answers = 0
        self.last = b""
        self.enough = 0
        self.done: asyncio.Future[None] | None = None

    def write(self, data: Any) -> None:
        self.last = data
        self.answers += 1
        if self.answers == self.enough and self.done is not None:
            self.done.set_result(None)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        raise AssertionError("one request at a time is not too much")

    def get_write_buffer_size(self) -> int:
        return 0


class NextTurnProducer:
    """``ports.RawProducer`` that answers "stored" when the loop comes round again."""

    def partitions(self) -> int:
        return PARTITIONS

    def is_stalled(self, partition: int) -> bool:  # noqa: ARG002
        return False

    async def send(self, records: Sequence[RawRecord]) -> Sequence[Delivery]:
        await asyncio.sleep(0)
        return ["stored"] * len(records)


def application_in_memory(clock: Clock) -> Application:
    """As ``sessionizer collect`` composes it, with one key."""
    keys = WriteKeys([WriteKey(name="bench", sha256=digest_of(KEY.encode()))])
    return Application(Config(), NextTurnProducer(), keys, clock, Figures(lambda: _NOTHING))


def collector_protocols(count: int, transport: CountingTransport) -> list[asyncio.Protocol]:
    """Connections of a collector."""
    loop = asyncio.get_running_loop()
    shared = Connections(application_in_memory(SystemClock()), HttpLimits(), protocol_refusal, lambda _: None)
    return [_connected(HttpProtocol(shared, loop), transport) for _ in range(count)]


def floor_protocols(count: int, transport: CountingTransport) -> list[asyncio.Protocol]:
    one = decoder()
    return [_connected(FloorProtocol(one), transport) for _ in range(count)]


def _connected(protocol: asyncio.Protocol, transport: CountingTransport) -> asyncio.Protocol:
    protocol.connection_made(transport)
    return protocol


async def cost_us(
    protocols: Callable[[int, CountingTransport], list[asyncio.Protocol]], requests: Sequence[bytes]
) -> float:
    """Microseconds of CPU a request, all of them sent once, one at a time on each connection."""
    transport = CountingTransport()
    lines = protocols(CONNECTIONS, transport)
    transport.done = None
    began = time.process_time()
    for start in range(0, len(requests), CONNECTIONS):
        now = requests[start : start + CONNECTIONS]
        transport.done = asyncio.get_running_loop().create_future()
        transport.enough = transport.answers + len(now)
        for line, data in zip(lines, now, strict=False):
            line.data_received(data)
        await transport.done
    seconds = time.process_time() - began
    assert transport.last.startswith(b"HTTP/1.1 200 "), transport.last
    return 1e6 * seconds / len(requests)


def path_costs(
    case: Case, count: int, passes: int = _PASSES, *, same_head: bool = True
) -> tuple[float, float]:
    """Microseconds of CPU a request of the collector and of the floor, the least of passes in turns.

    ``same_head``: all requests have one head but for the length, as a sender's mostly have; else each has a
    number in its head, so that none was seen before.
    """
    collect_garbage_seldom()  # as the process of a collector does
    requests = []
    for number, body in enumerate(bodies(case, count)):
        headers = {"Authorization": f"Bearer {KEY}"}
        if not same_head:
            headers["Traceparent"] = f"00-{number:032x}-0000000000000001-00"
        requests.append(request(80, body, headers))

    async def measure() -> tuple[float, float]:
        seen = [
            (await cost_us(collector_protocols, requests), await cost_us(floor_protocols, requests))
            for _ in range(passes)
        ]
        return min(collector for collector, _ in seen), min(floor for _, floor in seen)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure())


def main() -> None:
    result = Table(box=box.MARKDOWN)
    for column in ("us CPU a request, in memory", "collector", "floor", "times"):
        result.add_column(column, justify="right")
    for case in CASES:
        collector, floor = path_costs(case, 16_000 if case.events == 1 else 3_000)
        result.add_row(case.name, f"{collector:.1f}", f"{floor:.1f}", f"{collector / floor:.2f}")
    collector, floor = path_costs(CASES[0], 16_000, same_head=False)
    result.add_row("1 event, each head new", f"{collector:.1f}", f"{floor:.1f}", f"{collector / floor:.2f}")
    Console(width=110).print(result)


if __name__ == "__main__":
    main()
