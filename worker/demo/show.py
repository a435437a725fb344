"""The demo from beginning to end: a worker, traffic for it, and an account of every event.

It decides the order of things and when the worker is done; what is counted and how it looks is decided
elsewhere. The worker is the very one that ``run`` starts, in this event loop. The invariant: the worker has
stopped before anything is counted, and it stops whatever happens here.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from aiokafka.errors import KafkaError
from msgspec import Struct

from worker.app import run_worker
from worker.config import Config
from worker.demo.conservation import settle
from worker.demo.progress import ProgressView
from worker.demo.summary import Figures, count
from worker.demo.topics import TopicReader, feed, reading
from worker.demo.traffic import Traffic
from worker.demo.worker_log import running_since_s
from worker.errors import Fatal
from worker.model.events import InputRecord
from worker.model.outputs import DeadLetter, EnrichedEvent, SessionRecord
from worker.model.topics import OUTPUTS, Role

PATIENCE_S = 30.0
"""How long nothing may come out before the demo takes the rest for lost."""

SHORTEST_MEASURE_S = 1.0
"""Below it a rate would say more about starting than about working."""

QUIET_S = 1.5
"""When nothing has come out for so long, what is due to close has closed."""

Output = TypeVar("Output", EnrichedEvent, DeadLetter, SessionRecord)


class Outcome(Struct, frozen=True):
    """All that went in and came out, and the figures of it.

    ``records`` has those of the raw topic and of each output; of a compacted one the last of each key.
    """

    records: Mapping[Role, Sequence[InputRecord]]
    enriched: Sequence[EnrichedEvent]
    sessions: Sequence[SessionRecord]
    figures: Figures


async def play(
    config: Config,
    client: Mapping[str, Any],
    traffic: Traffic,
    view: ProgressView,
    *,
    log: Path,
    check_checksums: bool,
) -> Outcome:
    """Run a worker on this traffic until every event has a fate. The topics must exist and be empty.

    ``client``: what every client of the cluster needs; ``log``: the file to which the worker's log goes.

    Raises what the worker raises, and Fatal where the demo itself may not write or read.
    """
    try:
        return await _play(config, client, traffic, view, log, check_checksums)
    except KafkaError as error:
        raise Fatal(
            f"{config.kafka.bootstrap_servers}: {type(error).__name__}: {error}. The demo writes to the raw "
            "topic itself, and reads it and all outputs (docs/operations.md, Security)"
        ) from error


async def _play(
    config: Config,
    client: Mapping[str, Any],
    traffic: Traffic,
    view: ProgressView,
    log: Path,
    check_checksums: bool,
) -> Outcome:
    topics = config.topics
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(config, stop))
    try:
        async for batches in feed(client, topics.raw, traffic.records):
            view.sent(batches)
        outputs = {role: config.topic_name(role) for role in OUTPUTS}
        async with reading(client, outputs.values(), check_checksums=check_checksums) as reader:
            last_s = await _watch(reader, worker, config, traffic.event_count, view)
            stop.set()
            await worker
            await reader.read_to_end()
    finally:
        stop.set()
        await asyncio.wait([worker])
    async with reading(client, (topics.raw,), check_checksums=check_checksums) as raw_reader:
        await raw_reader.read_to_end()
    raw = raw_reader.records[topics.raw]
    records: dict[Role, Sequence[InputRecord]] = {"raw": raw}
    for role, topic in outputs.items():
        found = reader.records[topic]
        records[role] = last_of_each(found) if OUTPUTS[role].cleanup == "compact" else found
    enriched = _decoded(records["enriched"], EnrichedEvent)
    sessions = _decoded(records["sessions"], SessionRecord)
    dead_letters = _decoded(records["dead_letters"], DeadLetter)
    account = settle(traffic.event_count, raw, enriched, dead_letters)
    events_per_s = _rate(len(enriched) + len(dead_letters), log, last_s)
    return Outcome(
        records=records,
        enriched=enriched,
        sessions=sessions,
        figures=count(account, raw, enriched, dead_letters, sessions, events_per_s),
    )


async def _watch(
    reader: TopicReader, worker: asyncio.Task[None], config: Config, events: int, view: ProgressView
) -> float:
    """Read what comes out until it is enough and sessions have closed, or the worker ended, or nothing came
    for ``PATIENCE_S``.

    Returns when the last event was seen, in seconds since the epoch.
    """
    topics = config.topics
    settled = seen_sessions = closed = 0
    last_s = settled_s = time.time()
    while not worker.done() and time.time() - last_s < (PATIENCE_S if settled < events else QUIET_S):
        if not await reader.poll(wait_ms=200):
            continue
        last_s = time.time()
        found = len(reader.records[topics.enriched]) + len(reader.records[topics.dead_letters])
        if found > settled:
            settled, settled_s = found, last_s
            view.settled(settled)
        sessions = reader.records[topics.sessions]
        closed += sum(b'"status":"closed"' in (record.value or b"") for record in sessions[seen_sessions:])
        seen_sessions = len(sessions)
        view.closed(closed)
    return settled_s


def _rate(events: int, log: Path, last_s: float) -> float | None:
    since_s = running_since_s(log)
    if since_s is None or last_s - since_s < SHORTEST_MEASURE_S:
        return None
    return events / (last_s - since_s)


def last_of_each(records: Sequence[InputRecord]) -> list[InputRecord]:
    """The last record of each key, in the order of these; a key that was deleted has none."""
    last = {record.key: record for record in records}
    return [record for record in records if last[record.key] is record and record.value is not None]


def _decoded(records: Sequence[InputRecord], kind: type[Output]) -> list[Output]:
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(record.value or b"") for record in records]
