"""What connections cost a collector that does nothing for them: ``python -m bench.collect_connections``.

Decides which connections are held: idle ones after a request, in clear text and with TLS, and a thousand that
drip their request while others are served. Memory is what the kernel counts for the collector's processes.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import resource
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.broker import throw_away_broker
from bench.collect_client import Connection, Pool, Target, request, run
from bench.collect_cost import CASES, bodies
from bench.collect_servers import KEY, MANY_CONNECTIONS, Server, Start, collector, raw_topic, tls_collector
from bench.load import BOOTSTRAP_VARIABLE
from bench.report import progress, write
from testing.scratch import scratch_directory

_DRIP_S = 1.0
_PER_SECOND = 200.0
_SETTLE_S = 2.0
_AT_ONCE = 200


class Idle(msgspec.Struct, frozen=True):
    """Memory in MB, and CPU in percent of a core while nothing is asked."""

    what: str
    connections: int
    start_mb: float
    idle_mb: float
    cpu_percent: float


class Slow(msgspec.Struct, frozen=True):
    """Latencies of those who are served, alone and beside the slow ones; how many of these were closed."""

    connections: int
    alone_p99_ms: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    late_ms: float
    not_200: int
    closed: int
    memory_mb: float


async def hold_idle(what: str, server: Server, connections: int) -> Idle:
    """Open so many connections (hundreds), let each have one answer, and look at the collector."""
    tree = server.tree()
    start_mb = tree.read()[1]
    empty = [request(server.port, b"[]", {"Authorization": f"Bearer {KEY}"})]
    async with contextlib.AsyncExitStack() as opened:
        pools = []
        for _ in range(0, connections, _AT_ONCE):  # those that stay silent are soon closed
            pools.append(await opened.enter_async_context(Pool(server.target, _AT_ONCE)))
            await pools[-1].closed_loop(empty, _AT_ONCE)
        await asyncio.sleep(_SETTLE_S)
        cpu_s = tree.read()[0]
        await asyncio.sleep(5.0)
        used_s, idle_mb = tree.read()
        closed = connections - sum(pool.open for pool in pools)
        assert not closed, f"{closed} connections were closed"
    return Idle(what, connections, start_mb, idle_mb, 100 * (used_s - cpu_s) / 5.0)


class SlowSenders:
    """Connections that send one byte of a request's head a second, for ever; a closed one is replaced.

    They come one after another, as many in a tick as come back later, so that they are closed so, too.
    """

    def __init__(self, target: Target, count: int) -> None:
        self._target = target
        self._count = count
        self._open: list[Connection] = []
        self.closed = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All of them are there within the block."""
        while len(self._open) < self._count:
            await self._tick(0)
        task = asyncio.create_task(self._drip())
        try:
            yield
        finally:
            task.cancel()
            for connection in self._open:
                connection.close()

    async def _drip(self) -> None:
        for tick in itertools.count():
            await self._tick(tick)

    async def _tick(self, number: int) -> None:
        """A tenth of a second: a tenth of them sends a byte; some of the missing ones come."""
        there = [connection for connection in self._open if connection.is_open]
        self.closed += len(self._open) - len(there)
        missing = min(self._count - len(there), self._count // 40)
        self._open = there + list(await asyncio.gather(*(self._connect() for _ in range(missing))))
        for connection in self._open[number % 10 :: 10]:
            connection.write(b"a")
        await asyncio.sleep(_DRIP_S / 10)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        target = self._target
        _, connection = await loop.create_connection(
            lambda: Connection(lambda *_: None), target.host, target.port
        )
        connection.write(b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        return connection


async def serve_beside_slow(server: Server, count: int, seconds: float) -> Slow:
    """Requests at a steady rate, first alone and then beside so many slow connections."""
    requests = [server.request(body) for body in bodies(CASES[0], 500)]
    slow = SlowSenders(server.target, count)
    async with Pool(server.target, 20) as pool:
        await pool.open_loop(requests, _PER_SECOND, 2.0)
        alone = await pool.open_loop(requests, _PER_SECOND, seconds)
        async with slow.running():
            beside = await pool.open_loop(requests, _PER_SECOND, seconds)
            memory_mb = server.tree().read()[1]
    return Slow(
        connections=count,
        alone_p99_ms=alone.percentile_ms(99),
        p50_ms=beside.percentile_ms(50),
        p99_ms=beside.percentile_ms(99),
        most_ms=beside.percentile_ms(100),
        late_ms=1000 * beside.late_s,
        not_200=beside.answers + beside.lost - beside.statuses[200],
        closed=slow.closed,
        memory_mb=memory_mb,
    )


def measure_all(
    servers: str, directory: Path, connections: int, slow: int, seconds: float
) -> tuple[list[Idle], Slow]:
    """Idle in clear text, idle with TLS, slow ones; each with a collector of its own."""
    idle = []
    starts: dict[str, Start] = {
        "clear text": partial(collector, options=MANY_CONNECTIONS),
        "TLS": tls_collector,
    }
    with raw_topic(servers) as topic:
        for number, (what, start) in enumerate(starts.items()):
            own = directory / f"idle-{number}"
            own.mkdir()
            with start(servers, topic, own) as server:
                idle.append(run(hold_idle(what, server, connections)))
            progress(f"{what}: {idle[-1].start_mb:.0f} MB, {idle[-1].idle_mb:.0f} MB with {connections:,}")
        own = directory / "slow"
        own.mkdir()
        with collector(servers, topic, own) as server:
            beside = run(serve_beside_slow(server, slow, seconds))
    return idle, beside


def tables(idle: list[Idle], slow: Slow) -> list[Table]:
    """Memory of idle connections, then latencies beside slow ones."""
    memory = Table(box=box.MARKDOWN)
    for column in ("idle connections", "at the start, MB", "with them, MB", "KB each", "CPU, % of a core"):
        memory.add_column(column, justify="right")
    for one in idle:
        each_kb = 1024 * (one.idle_mb - one.start_mb) / one.connections
        memory.add_row(
            f"{one.connections:,}, {one.what}",
            *(f"{figure:.1f}" for figure in (one.start_mb, one.idle_mb, each_kb, one.cpu_percent)),
        )
    latency = Table(box=box.MARKDOWN, title=f"{_PER_SECOND:.0f} requests/s, ms")
    for column in ("beside", "p50", "p99", "greatest", "the load's own delay", "not 200", "closed", "MB"):
        latency.add_column(column, justify="right")
    latency.add_row("nobody", "", f"{slow.alone_p99_ms:.1f}", "", "", "", "", "")
    latency.add_row(
        f"{slow.connections:,} slow connections",
        *(f"{ms:.1f}" for ms in (slow.p50_ms, slow.p99_ms, slow.most_ms, slow.late_ms)),
        *(f"{slow.not_200}", f"{slow.closed:,}", f"{slow.memory_mb:.0f}"),
    )
    return [memory, latency]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.collect_connections", description=__doc__)
    parser.add_argument("--bootstrap-servers", default=os.environ.get(BOOTSTRAP_VARIABLE))
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of slow connections")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as running:
        servers = options.bootstrap_servers or running.enter_context(throw_away_broker())
        directory = running.enter_context(scratch_directory("collect-connections"))
        idle, slow = measure_all(servers, directory, options.connections, options.slow, options.seconds)
    for each in tables(idle, slow):
        Console(width=120).print(each)
    sys.stderr.write(f"{write({'idle': idle, 'slow': slow}, 'collect-connections')}\n")


if __name__ == "__main__":
    main()
