"""The demo from beginning to end: a worker, traffic for it, and an account of every event.

It decides the order of things and when the worker is done; what is counted and how it looks is decided
elsewhere. The worker is the very one that ``run`` starts, in this event loop. The invariant: the worker has
stopped before anything is counted, and it stops whatever happens here.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from worker.app import run_worker
from worker.config import Config
from worker.demo.conservation import settle
from worker.demo.progress import ProgressView
from worker.demo.summary import Figures, count
from worker.demo.topics import TopicReader, feed, reading
from worker.demo.traffic import Traffic
from worker.demo.worker_log import running_since_s
from worker.model.events import InputRecord
from worker.model.outputs import DeadLetter, EnrichedEvent

PATIENCE_S = 30.0
"""How long nothing may come out before the demo takes the rest for lost."""

SHORTEST_MEASURE_S = 1.0
"""Below it a rate would say more about starting than about working."""

Output = TypeVar("Output", EnrichedEvent, DeadLetter)


class Outcome(Struct, frozen=True):
    """All that went in and came out, and the figures of it."""

    raw: Sequence[InputRecord]
    enriched_records: Sequence[InputRecord]
    dead_letter_records: Sequence[InputRecord]
    enriched: Sequence[EnrichedEvent]
    figures: Figures


async def play(
    config: Config, traffic: Traffic, view: ProgressView, *, log: Path, check_checksums: bool
) -> Outcome:
    """Run a worker on this traffic until every event has a fate. The topics must exist and be empty.

    ``log`` is the file to which the worker's log goes.

    Raises what the worker raises, and the Kafka client's errors.
    """
    servers, topics = config.kafka.bootstrap_servers, config.topics
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(config, stop))
    try:
        async for batches in feed(servers, topics.raw, traffic.records):
            view.sent(batches)
        async with reading(
            servers, (topics.enriched, topics.dead_letters), check_checksums=check_checksums
        ) as reader:
            last_s = await _watch(reader, worker, traffic.event_count, view)
            stop.set()
            await worker
            await reader.read_to_end()
    finally:
        stop.set()
        await asyncio.wait([worker])
    async with reading(servers, (topics.raw,), check_checksums=check_checksums) as raw_reader:
        await raw_reader.read_to_end()
    raw = raw_reader.records[topics.raw]
    enriched_records, dead_letter_records = (
        reader.records[topics.enriched],
        reader.records[topics.dead_letters],
    )
    enriched = _decoded(enriched_records, EnrichedEvent)
    dead_letters = _decoded(dead_letter_records, DeadLetter)
    account = settle(traffic.event_count, raw, enriched, dead_letters)
    events_per_s = _rate(len(enriched) + len(dead_letters), log, last_s)
    return Outcome(
        raw=raw,
        enriched_records=enriched_records,
        dead_letter_records=dead_letter_records,
        enriched=enriched,
        figures=count(account, raw, enriched, dead_letters, events_per_s),
    )


async def _watch(reader: TopicReader, worker: asyncio.Task[None], events: int, view: ProgressView) -> float:
    """Read what comes out until it is enough, or the worker ended, or nothing came for ``PATIENCE_S``.

    Returns when the last one was seen, in seconds since the epoch.
    """
    settled = 0
    last_s = time.time()
    while settled < events and not worker.done() and time.time() - last_s < PATIENCE_S:
        found = await reader.poll(wait_ms=200)
        if found:
            last_s = time.time()
            settled += found
            view.settled(settled)
    return last_s


def _rate(events: int, log: Path, last_s: float) -> float | None:
    since_s = running_since_s(log)
    if since_s is None or last_s - since_s < SHORTEST_MEASURE_S:
        return None
    return events / (last_s - since_s)


def _decoded(records: Sequence[InputRecord], kind: type[Output]) -> list[Output]:
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(record.value or b"") for record in records]
