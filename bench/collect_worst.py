"""What one request of the worst kinds costs a collector: ``python -m bench.collect_worst``.

Decides the bodies: a megabyte, or as many elements as a request may have, made so that some part of the
collector has most to do. The figures are CPU time, whatever else the machine does: of the collector's process
for one request, and the longest time for which the event loop is blocked by it, measured in memory, turn by
turn. Beside them stands how long a probe of the same process waited at most, which means little where other
work is on the machine.
"""

import argparse
import asyncio
import contextlib
import gzip
import os
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from backports import zstd
from rich import box
from rich.console import Console
from rich.table import Table

from bench.broker import throw_away_broker
from bench.collect_client import Pool, request, run
from bench.collect_path import application_in_memory
from bench.collect_servers import KEY, Server, collector, raw_topic
from bench.load import BOOTSTRAP_VARIABLE
from bench.report import progress, write
from bench.worst_inputs import EVENT, batch, loop_seconds, with_data
from testing.scratch import scratch_directory
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.request_heads import KnownHeads
from worker.adapters.http.request_reader import RequestReader
from worker.adapters.system_clock import SystemClock

BODY_BYTES = 999_000
MOST_EVENTS = 500
AIM_MS = 30
_SENDS = 10
_TIMES_IN_MEMORY = 5
_PROBES_A_SECOND = 200.0
_BOMB_BYTES = 1 << 28


def filled(unit: bytes, begin: bytes = b"[", end: bytes = b"") -> bytes:
    """The unit as often as a body holds it."""
    return begin + unit * ((BODY_BYTES - len(begin) - len(end)) // len(unit)) + end


def of_elements(element: bytes, last: bytes = b"") -> bytes:
    """499 elements made as long as a body allows by text in ``data``, then a last one."""
    room = BODY_BYTES // MOST_EVENTS - len(element) - 40
    text = b'"text":"' + b"x" * max(0, room) + b'"'
    padded = element.replace(b"TEXT", text)
    return batch(*[padded] * (MOST_EVENTS - 1), last or padded)


def nested(depth: int) -> bytes:
    """An event of 2 KB with values of that many levels in ``data``."""
    value = b"[" * (depth - 2) + b"]" * (depth - 2)
    count = (BODY_BYTES // MOST_EVENTS - len(EVENT) - 12) // (len(value) + 8)
    return EVENT[:-1] + b',"data":{' + b",".join(b'"k%03d":%b' % (n, value) for n in range(count)) + b"}}"


def with_text() -> bytes:
    return EVENT[:-1] + b',"data":{TEXT}}'


def device_each(number: int) -> bytes:
    return EVENT.replace(b'"d1"', b'"d%d"' % number)


def one_event(properties: bytes, count: int) -> bytes:
    """One event with so many properties, of which each has its number."""
    return b"[" + EVENT[:-1] + b"".join(properties % n for n in range(count)) + b"}]"


BODIES = {
    "500 events of one device, 2 KB each": of_elements(with_text()),
    "500 small events of 500 devices": batch(*map(device_each, range(MOST_EVENTS))),
    "one event with 1 MB of text": with_data({"text": "x" * (BODY_BYTES - 200)}),
    "499 elements nested 65 deep": batch(*[nested(65)] * (MOST_EVENTS - 1)),
    "499 elements nested 64 deep": batch(*[nested(64)] * (MOST_EVENTS - 1)),
    "499 good ones and a broken one": of_elements(with_text(), b'{"id":'),
    "500 without a device": of_elements(with_text().replace(b'"device_id":"d1",', b"")),
    "500 broken ones": of_elements(b'{"id" "e1",TEXT}'),
    "events with names in escapes": batch(
        *[EVENT[:-1] + b"".join(b',"\\u0061%03d":1' % n for n in range(125)) + b"}"] * (MOST_EVENTS - 1)
    ),
    "one event, 1 MB of names": one_event(b',"a%05d":1', 85_000),
    "one event, 1 MB of names in escapes": one_event(b',"\\u0061%05d":1', 58_000),
    "one event, 100 names in escapes again and again": b"["
    + EVENT[:-1]
    + b"".join(b',"\\u0061%03d":1' % (n % 100) for n in range(65_000))
    + b"}]",
    "500 events with 125 names each": batch(
        *[EVENT[:-1] + b"".join(b',"a%03d":1' % n for n in range(125)) + b"}"] * (MOST_EVENTS - 1)
    ),
    "open brackets": filled(b"["),
    "open objects": filled(b'{"a":', begin=b""),
    "quotes": filled(b'"'),
    "escaped quotes": filled(b'\\"', b'[{"'),
    "brackets between numbers": filled(b"[1"),
    "valleys of brackets": filled(b"]]][[["),
    "commas": filled(b","),
    "white space": filled(b" "),
    "an envelope in an envelope, to the end": filled(b'{"events":[', begin=b""),
}
"""Kind -> body, as it is; those that are packed are in ``packed_bodies``."""


def packed_bodies() -> dict[str, tuple[bytes, str]]:
    """Kind -> body and its encoding."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    spaces = b" " * (1 << 20)
    bomb = b"".join(packer.compress(spaces) for _ in range(_BOMB_BYTES >> 20)) + packer.flush()
    good = BODIES["500 events of one device, 2 KB each"]
    return {
        "1 MB of gzip, 256 MB inflated": (bomb[:BODY_BYTES], "gzip"),
        "a few KB of zstd, 256 MB inflated": (zstd.compress(b" " * _BOMB_BYTES), "zstd"),
        "500 events of one device, gzip": (gzip.compress(good, 6), "gzip"),
        "500 events of one device, zstd": (zstd.compress(good), "zstd"),
    }


class Worst(msgspec.Struct, frozen=True):
    """One kind: the answer's status, CPU of the collector a request, the longest turn of the loop in memory,
    and the longest wait of a probe.
    """

    what: str
    status: int
    cpu_ms: float
    blocked_ms: float
    probe_ms: float


async def measure(what: str, server: Server, data: bytes) -> Worst:
    """Send it some times, one after the other, beside probes."""
    tree = server.tree()
    probe = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with Pool(server.target, 1) as pool, Pool(server.target, 4) as probes:
        await pool.closed_loop([data], 1)
        before = tree.read()[0]
        tally = await pool.closed_loop([data], _SENDS)
        cpu_s = tree.read()[0] - before
        probing = asyncio.create_task(probes.open_loop([probe], _PROBES_A_SECOND, 0.5))
        await pool.closed_loop([data], 3)
        probed = await probing
    (status,) = tally.statuses or {0: 0}
    return Worst(what, status, 1000 * cpu_s / _SENDS, blocked_ms(data), probed.percentile_ms(100))


class _AnyTurnClock(SystemClock):
    """Whoever waits for a turn may be driven by hand."""

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002
        await asyncio.sleep(0)


def blocked_ms(data: bytes) -> float:
    """The longest turn of the loop that a request takes, from its body to its answer, the least of some."""
    reader = RequestReader(HttpLimits(), KnownHeads())
    at = 0
    while at < len(data):
        at = reader.feed(data, at)
    asked = reader.take()
    assert asked is not None
    application = application_in_memory(_AnyTurnClock())
    least = float("inf")
    for _ in range(_TIMES_IN_MEMORY):
        turns = application.respond(asked.head, asked.body, None).__await__()
        longest, began = 0.0, time.process_time()
        for _ in turns:
            now = time.process_time()
            longest, began = max(longest, now - began), now
        least = min(least, max(longest, time.process_time() - began))
    return 1000 * least


def requests(server: Server) -> dict[str, bytes]:
    """Every kind as it goes over the wire."""
    made = {what: server.request(body) for what, body in BODIES.items()}
    for what, (body, encoding) in packed_bodies().items():
        headers = {"Authorization": f"Bearer {KEY}", "Content-Encoding": encoding}
        made[what] = request(server.port, body, headers)
    return made


def table(found: Sequence[Worst]) -> Table:
    """The most expensive first."""
    result = Table(box=box.MARKDOWN)
    for column in ("one request", "answer", "CPU ms", "loop blocked, ms", "longest wait of a probe, ms"):
        result.add_column(column, justify="left" if column == "one request" else "right")
    for one in sorted(found, key=lambda each: -each.blocked_ms):
        times = (f"{one.cpu_ms:.1f}", f"{one.blocked_ms:.1f}", f"{one.probe_ms:.0f}")
        result.add_row(one.what, str(one.status or "-"), *times)
    return result


def measure_all(servers: str, directory: Path) -> list[Worst]:
    """Every kind, one after the other, with one collector."""
    with raw_topic(servers) as topic, collector(servers, topic, directory) as server:
        found = []
        for what, data in requests(server).items():
            found.append(run(measure(what, server, data)))
            progress(f"{what}: {found[-1].cpu_ms:.1f} ms")
        return found


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.collect_worst", description="Measure the worst bodies."
    )
    parser.add_argument("--bootstrap-servers", default=os.environ.get(BOOTSTRAP_VARIABLE))
    options = parser.parse_args()
    with contextlib.ExitStack() as running:
        servers = options.bootstrap_servers or running.enter_context(throw_away_broker())
        found = measure_all(servers, running.enter_context(scratch_directory("collect-worst")))
    Console(width=110).print(table(found))
    within = sum(one.blocked_ms <= AIM_MS for one in found)
    print(f"{within} of {len(found)} kinds block the loop for at most {AIM_MS} ms")
    print(f"{loop_seconds() * 1000:.2f} ms for 100,000 turns of a loop")
    sys.stderr.write(f"{write(found, 'collect-worst')}\n")


if __name__ == "__main__":
    main()
