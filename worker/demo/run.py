"""One run of the demo: a worker, traffic for it, and the audit of every event.

Decides the order of things and when the worker is done; knows not what is counted or how it looks. The worker
is the same that ``run`` starts, in this event loop. The invariant: the worker has stopped before anything is
counted, and it is stopped whatever fails here.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from aiokafka.errors import KafkaError
from msgspec import Struct

from worker.app import run_worker
from worker.config import Config
from worker.demo.audit import audit
from worker.demo.final_sessions import FinalSession, final_sessions
from worker.demo.summary import Figures, count
from worker.demo.topics import TopicReader, feed, reading
from worker.demo.traffic import Traffic
from worker.errors import Fatal
from worker.model.events import InputRecord
from worker.model.outputs import DeadLetter, EnrichedEvent, SessionRecord
from worker.model.topics import OUTPUTS, Role
from worker.progress import ProgressView
from worker.telemetry import PartitionInitialized, PartitionRestored

PATIENCE_S = 30.0
"""When nothing has come out for so long, the missing events are taken for lost."""

SHORTEST_MEASURE_S = 1.0
"""No rate is shown for a shorter time: it would measure the start."""

QUIET_S = 1.5
"""When nothing has come out for so long after the last event, due sessions have closed."""

RUNNING = (PartitionInitialized.NAME, PartitionRestored.NAME)

BATCHES, EVENTS, SESSIONS = "batches sent", "events done", "sessions closed"
"""The counts that a run shows while it lasts; ``totals`` has how far they go."""

Output = TypeVar("Output", EnrichedEvent, DeadLetter, SessionRecord)


class DemoResult(Struct, frozen=True):
    """The records that went in and came out, and the figures.

    ``records`` has those of the raw topic and of each output; of a compacted one the last of each key.
    ``sessions`` are as they are at the end, without those that merged into another.
    """

    records: Mapping[Role, Sequence[InputRecord]]
    enriched: Sequence[EnrichedEvent]
    sessions: Sequence[FinalSession]
    figures: Figures


class Place(Struct, frozen=True):
    """Where a demo runs. Its topics exist and are empty.

    ``client``: arguments of every client of the cluster: addresses and login. ``log``: the file of the
    worker's log. ``has_checksums``: whether the broker's records have them all.
    """

    config: Config
    client: Mapping[str, Any]
    log: Path
    has_checksums: bool


def totals(traffic: Traffic) -> dict[str, int | None]:
    """How far the counts of a run go. The number of sessions is not known before."""
    return {BATCHES: len(traffic.records), EVENTS: traffic.event_count, SESSIONS: None}


async def run_demo(place: Place, traffic: Traffic, view: ProgressView) -> DemoResult:
    """Run a worker on this traffic until every event has an outcome.

    Raises what the worker raises, and Fatal where the demo itself may not write or read.
    """
    try:
        return await _run(place, traffic, view)
    except KafkaError as error:
        raise Fatal(
            f"{place.config.kafka.bootstrap_servers}: {type(error).__name__}: {error}. The demo writes to "
            "the raw topic itself, and reads it and all outputs (docs/operations.md, Security)"
        ) from error


async def _run(place: Place, traffic: Traffic, view: ProgressView) -> DemoResult:
    config, client, has_checksums = place.config, place.client, place.has_checksums
    topics = config.topics
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(config, stop))
    try:
        async for batches in feed(client, topics.raw, traffic.records):
            view.reached(BATCHES, batches)
        outputs = {role: config.topic_name(role) for role in OUTPUTS}
        async with reading(client, outputs.values(), check_checksums=has_checksums) as reader:
            last_s = await _watch(reader, worker, config, traffic.event_count, view)
            stop.set()
            await worker
            await reader.read_to_end()
    finally:
        stop.set()
        await asyncio.wait([worker])
    async with reading(client, (topics.raw,), check_checksums=has_checksums) as raw_reader:
        await raw_reader.read_to_end()
    raw = raw_reader.records[topics.raw]
    records: dict[Role, Sequence[InputRecord]] = {"raw": raw}
    for role, topic in outputs.items():
        found = reader.records[topic]
        records[role] = last_of_each(found) if OUTPUTS[role].cleanup == "compact" else found
    enriched = _decoded(records["enriched"], EnrichedEvent)
    sessions = _decoded(records["sessions"], SessionRecord)
    dead_letters = _decoded(records["dead_letters"], DeadLetter)
    result = audit(traffic.event_count, raw, enriched, dead_letters)
    events_per_s = _rate(len(enriched) + len(dead_letters), place.log, last_s)
    return DemoResult(
        records=records,
        enriched=enriched,
        sessions=final_sessions(enriched, sessions, config.session.max_future_ms),
        figures=count(result, raw, enriched, dead_letters, sessions, events_per_s),
    )


async def _watch(
    reader: TopicReader, worker: asyncio.Task[None], config: Config, events: int, view: ProgressView
) -> float:
    """Read the outputs until all events are there and sessions have closed.

    Ends too where the worker ended, or nothing came for ``PATIENCE_S``. Returns when the last event was seen,
    in seconds since the epoch.
    """
    topics = config.topics
    done = seen_sessions = closed = 0
    last_s = done_s = time.time()
    while not worker.done() and time.time() - last_s < (PATIENCE_S if done < events else QUIET_S):
        if not await reader.poll(wait_ms=200):
            continue
        last_s = time.time()
        found = len(reader.records[topics.enriched]) + len(reader.records[topics.dead_letters])
        if found > done:
            done, done_s = found, last_s
            view.reached(EVENTS, done)
        sessions = reader.records[topics.sessions]
        closed += sum(b'"status":"closed"' in (record.value or b"") for record in sessions[seen_sessions:])
        seen_sessions = len(sessions)
        view.reached(SESSIONS, closed)
    return done_s


def running_since_s(log: Path) -> float | None:
    """When the first partition ran, in seconds since the epoch, by the worker's log; None where none did.

    Joining the group takes seconds in which nothing can come out, and only the worker knows when they are
    over.
    """
    for line in log.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # no log event: a traceback
        if isinstance(entry, dict) and entry.get("event") in RUNNING:
            return datetime.fromisoformat(entry["timestamp"]).timestamp()
    return None


def _rate(events: int, log: Path, last_s: float) -> float | None:
    since_s = running_since_s(log)
    if since_s is None or last_s - since_s < SHORTEST_MEASURE_S:
        return None
    return events / (last_s - since_s)


def last_of_each(records: Sequence[InputRecord]) -> list[InputRecord]:
    """The last record of each key, in their order; none of a key whose last record deletes it."""
    last = {record.key: record for record in records}
    return [record for record in records if last[record.key] is record and record.value is not None]


def _decoded(records: Sequence[InputRecord], kind: type[Output]) -> list[Output]:
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(record.value or b"") for record in records]
