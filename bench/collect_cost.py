"""What a request costs the collector, beside a Go program and the floor: ``python -m bench.collect_cost``.

Decides which requests are sent and how a run becomes a figure. All servers run beside one broker, and take
turns: run 1 of all, then run 2 of all. What counts is the CPU time (user + system) of the server's processes
for each answered request, the least of the runs; the load comes from as many connections as keep a server
busy.
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.broker import throw_away_broker
from bench.collect_client import Pool, run
from bench.collect_servers import COLLECT, FLOOR, GO, Server, all_servers, raw_topic
from bench.load import BOOTSTRAP_VARIABLE
from bench.process_cost import ProcessTree, listening_pid, machine_cpu_s
from bench.report import write
from testing.events import Shape, records
from testing.scratch import scratch_directory

BODIES = 2_000
CONNECTIONS = 128
WARM_UP_SHARE = 0.25


class Case(msgspec.Struct, frozen=True):
    """A kind of request: how many events it has, and of how many devices."""

    name: str
    events: int
    devices: int = 1
    target_us: float = 0.0
    """Microseconds of CPU a request."""


CASES = (
    Case("1 event", 1, target_us=52),
    Case("20 events of a device", 20, target_us=96),
    Case("20 events of 20 devices", 20, 20, target_us=180),
)


class CostRun(msgspec.Struct, frozen=True):
    """One run. ``us``: CPU of the server for each request; ``load_us`` and ``broker_us`` those of the others.

    ``others_cpu_s``: what the rest of the machine used meanwhile; where that is much, the run was disturbed.
    """

    server: str
    case: str
    requests: int
    us: float
    per_second: float
    p50_ms: float
    p99_ms: float
    load_us: float
    broker_us: float
    others_cpu_s: float
    rss_mb: float
    not_200: int


def bodies(case: Case, count: int = BODIES) -> list[bytes]:
    """Bodies of that kind, made of the benchmark's events; the same at each call."""
    if case.devices == 1:
        shape = Shape(events=count * case.events, events_per_record=case.events)
        return [record.value for record in records(shape)]
    single = records(Shape(events=50 * count * case.events, events_per_record=1))
    made = []
    for _ in range(count):
        by_device: dict[bytes, bytes] = {}
        while len(by_device) < case.devices:
            record = next(single)
            by_device.setdefault(record.key, record.value[1:-1])
        made.append(b"[" + b",".join(by_device.values()) + b"]")
    return made


async def measure(
    name: str, server: Server, case: Case, requests: Sequence[bytes], count: int, broker: ProcessTree | None
) -> CostRun:
    """So many requests after a warm-up."""
    tree, own = server.tree(), ProcessTree(os.getpid())
    async with Pool(server.target, CONNECTIONS) as pool:
        await pool.closed_loop(requests, int(count * WARM_UP_SHARE))
        before = [each.read()[0] if each else 0.0 for each in (tree, own, broker)]
        machine_before = machine_cpu_s()
        tally = await pool.closed_loop(requests, count)
        machine_s = machine_cpu_s() - machine_before
        after = [each.read()[0] if each else 0.0 for each in (tree, own, broker)]
    server_s, own_s, broker_s = (end - begin for begin, end in zip(before, after, strict=True))
    return CostRun(
        server=name,
        case=case.name,
        requests=count,
        us=1e6 * server_s / count,
        per_second=count / tally.wall_s,
        p50_ms=tally.percentile_ms(50),
        p99_ms=tally.percentile_ms(99),
        load_us=1e6 * own_s / count,
        broker_us=1e6 * broker_s / count,
        others_cpu_s=machine_s - server_s - own_s - broker_s,
        rss_mb=tree.read()[1],
        not_200=count - tally.statuses[200],
    )


def measure_all(
    servers: str, directory: Path, turns: int, count: int, cases: Sequence[Case]
) -> list[CostRun]:
    """Every server with every case, in turns."""
    broker_pid = listening_pid(int(servers.rpartition(":")[2]))
    broker = ProcessTree(broker_pid) if broker_pid else None
    found: list[CostRun] = []
    load = {case.name: bodies(case) for case in cases}
    with contextlib.ExitStack() as running:
        topic = running.enter_context(raw_topic(servers))
        started = {
            name: running.enter_context(start(servers, topic, _made(directory / f"server-{number}")))
            for number, (name, start) in enumerate(all_servers(directory).items())
        }
        for turn in range(1, turns + 1):
            for case in cases:
                for name, server in started.items():
                    requests = [server.request(body) for body in load[case.name]]
                    one = run(
                        measure(
                            name, server, case, requests, count if case.events == 1 else count // 4, broker
                        )
                    )
                    found.append(one)
                    sys.stderr.write(
                        f"{time.strftime('%H:%M:%S')} {name}, {case.name}, turn {turn}: {one.us:.1f} us a "
                        f"request, {one.per_second:,.0f}/s, others {one.others_cpu_s:.1f} s\n"
                    )
    return found


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def table(found: Sequence[CostRun]) -> Table:
    """The least of each server and case, and how many times the floor's and the Go program's it is."""
    result = Table(box=box.MARKDOWN)
    result.add_column("us CPU a request, least of the turns")
    names = list(dict.fromkeys(one.server for one in found))
    for name in names:
        result.add_column(name, justify="right")
    for case in dict.fromkeys(one.case for one in found):
        of_case = {name: [o for o in found if (o.server, o.case) == (name, case)] for name in names}
        least = {name: min(one.us for one in runs) for name, runs in of_case.items()}
        result.add_row(case, *(f"{us:.1f}" for us in least.values()))
        result.add_row("requests/s", *(f"{max(o.per_second for o in r):,.0f}" for r in of_case.values()))
        disturbed = (f"{max(one.others_cpu_s for one in runs):.1f}" for runs in of_case.values())
        result.add_row("others' CPU s, greatest", *disturbed)
        failed = [sum(one.not_200 for one in runs) for runs in of_case.values()]
        result.add_row("not answered 200", *map(str, failed))
    return result


def ratios(found: Sequence[CostRun]) -> list[str]:
    """A line a case: the collector beside its target, the floor and the Go program."""
    lines = []
    for case in CASES:
        least: dict[str, float] = {}
        for one in found:
            if one.case == case.name:
                least[one.server] = min(one.us, least.get(one.server, one.us))
        for name, us in least.items():
            if name.startswith(COLLECT):
                beside = [
                    f"{us / of:.2f} times the {other}"
                    for other, of in least.items()
                    if other == FLOOR or (other.startswith(GO) and other.endswith(_codec(name)))
                ]
                lines.append(
                    f"{case.name}, {name}: {us:.1f} us, aim {case.target_us:.0f}; " + ", ".join(beside)
                )
    return lines


def _codec(name: str) -> str:
    return "uncompressed" if name.endswith("uncompressed") else "zstd"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.collect_cost", description=__doc__)
    parser.add_argument("--bootstrap-servers", default=os.environ.get(BOOTSTRAP_VARIABLE))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--requests", type=int, default=60_000, help="of one event; a quarter of that of 20")
    options = parser.parse_args()
    with contextlib.ExitStack() as running:
        servers = options.bootstrap_servers or running.enter_context(throw_away_broker())
        directory = running.enter_context(scratch_directory("collect-cost"))
        found = measure_all(servers, directory, options.turns, options.requests, CASES)
    Console(width=160).print(table(found))
    print("\n".join(ratios(found)))
    sys.stderr.write(f"{write(found, 'collect-cost')}\n")


if __name__ == "__main__":
    main()
