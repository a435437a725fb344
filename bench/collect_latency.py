"""How long a request waits for its answer at a steady rate: ``python -m bench.collect_latency``.

Decides the rate and what is compared: the collector and the Go program beside one local broker, in turns.
Requests come at random times with that mean rate, whatever the answers do; a latency counts from when its
request was due, so a server that falls behind cannot hide it.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.broker import throw_away_broker
from bench.collect_client import Pool, Tally, run
from bench.collect_cost import CASES, bodies
from bench.collect_servers import FLOOR, Server, all_servers, raw_topic
from bench.load import BOOTSTRAP_VARIABLE
from bench.report import progress, write
from testing.scratch import scratch_directory

CONNECTIONS = 100
WARM_UP_S = 2.0


class LatencyRun(msgspec.Struct, frozen=True):
    """One run. ``late_ms``: how far behind its own plan the load was at most."""

    server: str
    per_second: float
    answers: int
    not_200: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    late_ms: float


async def measure(server: Server, requests: Sequence[bytes], per_second: float, seconds: float) -> Tally:
    """Of a steady load after a warm-up."""
    async with Pool(server.target, CONNECTIONS) as pool:
        await pool.open_loop(requests, per_second, WARM_UP_S)
        return await pool.open_loop(requests, per_second, seconds)


def measure_all(
    servers: str, directory: Path, turns: int, per_second: float, seconds: float
) -> list[LatencyRun]:
    """Each server but the floor, in turns."""
    found = []
    load = bodies(CASES[0])
    with raw_topic(servers) as topic:
        for turn in range(turns):
            for number, (name, start) in enumerate(all_servers(directory).items()):
                if name == FLOOR:
                    continue
                own = directory / f"{turn}-{number}"
                own.mkdir()
                with start(servers, topic, own) as server:
                    requests = [server.request(body) for body in load]
                    tally = run(measure(server, requests, per_second, seconds))
                found.append(
                    LatencyRun(
                        server=name,
                        per_second=per_second,
                        answers=tally.answers,
                        not_200=tally.answers + tally.lost - tally.statuses[200],
                        p50_ms=tally.percentile_ms(50),
                        p99_ms=tally.percentile_ms(99),
                        p999_ms=tally.percentile_ms(99.9),
                        late_ms=1000 * tally.late_s,
                    )
                )
                progress(f"{name}: p50 {found[-1].p50_ms:.1f} ms, p99 {found[-1].p99_ms:.1f} ms")
    return found


def table(found: Sequence[LatencyRun]) -> Table:
    """The least of each server."""
    result = Table(box=box.MARKDOWN, title=f"{found[0].per_second:,.0f} requests/s, ms, least of the turns")
    for column in ("server", "p50", "p99", "p99.9", "the load's own delay", "not 200"):
        result.add_column(column, justify="left" if column == "server" else "right")
    for name in dict.fromkeys(one.server for one in found):
        runs = [one for one in found if one.server == name]
        least = [min(getattr(one, of) for one in runs) for of in ("p50_ms", "p99_ms", "p999_ms", "late_ms")]
        result.add_row(name, *(f"{ms:.1f}" for ms in least), str(sum(one.not_200 for one in runs)))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.collect_latency", description=__doc__)
    parser.add_argument("--bootstrap-servers", default=os.environ.get(BOOTSTRAP_VARIABLE))
    parser.add_argument("--per-second", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    with contextlib.ExitStack() as running:
        servers = options.bootstrap_servers or running.enter_context(throw_away_broker())
        directory = running.enter_context(scratch_directory("collect-latency"))
        found = measure_all(servers, directory, options.turns, options.per_second, options.seconds)
    Console(width=120).print(table(found))
    sys.stderr.write(f"{write(found, 'collect-latency')}\n")


if __name__ == "__main__":
    main()
