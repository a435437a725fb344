"""The promises of exactly-once, checked from the outside: by reading topics, never by asking the worker.

Decides whether what a read_committed reader finds equals a sequential run of the pure core over the raw
topic, which decodes event by event, since the workers take shortcuts. Knows nothing of what was done to them
meanwhile. The promises are those of docs/reliability.md:

* P1 equality: outputs that keep every record (enriched events, dead letters), byte for byte, in order;
* P2 state: the changelog, compacted, holds the state that the run ends with, but for what time has closed;
* P3 offsets: the group's committed offsets are those of the changelog's meta record;
* P4 conservation: every event of the raw topic has exactly one outcome (P1 implies it; counted on its own);
* P7 streams: the last record of each session, once all are closed, and every record of a device's timeline
  are those of the run, ``revision`` aside.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from msgspec import json

from tests.chaos.topics import committed_offsets, end_offsets, read_all
from tests.settled_state import settled
from tests.slow_path_decoder import SlowPathDecoder
from worker.config import Config
from worker.core.closing import run_timers
from worker.core.encode import encode_sessions, encode_step
from worker.core.pipeline import DecodedRecords, decode_records, process
from worker.core.state_codec import (
    META_KEY,
    decode_meta,
    device_of_hot_key,
    encode_cold,
    encode_hot,
    hot_key,
)
from worker.model.outputs import OutputRecord
from worker.model.state import DeviceState, ExpiryClock
from worker.model.topics import OUTPUTS, Role

KEPT = [role for role, spec in OUTPUTS.items() if spec.cleanup == "delete"]
UPSERTS = [role for role, spec in OUTPUTS.items() if spec.cleanup == "compact"]
_RECORDS_A_STEP = 100
_NEVER_MS = 2**53
_CLOSED_WITHIN_S = 20.0


@dataclass
class Expected:
    """What a sequential run over one raw partition comes to."""

    kept: dict[Role, list[OutputRecord]] = field(default_factory=lambda: {role: [] for role in KEPT})
    """All records of the outputs that keep every record."""
    states: dict[str, DeviceState] = field(default_factory=dict)
    rows: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    """The last record of each session."""
    timelines: dict[Role, dict[bytes, list[bytes | None]]] = field(
        default_factory=lambda: {role: {} for role in UPSERTS if role != "sessions"}
    )
    """All values of each key, for the other upserts."""
    sessions: int = 0
    events: int = 0
    watermark_ms: int = 0
    expiry: ExpiryClock = field(default_factory=ExpiryClock)


@dataclass
class Verdict:
    """What was found. ``broken`` has one line for each promise that does not hold; empty means all hold."""

    broken: list[str] = field(default_factory=list)
    events: int = 0
    enriched: int = 0
    dead_letters: int = 0
    devices: int = 0
    sessions: int = 0


def expect(records: Sequence[ConsumerRecord], config: Config) -> Expected:
    """Run the pure core over one partition's records, in order, with nothing between."""
    decoder = SlowPathDecoder(config.input, config.identity)
    return expect_decoded(
        (
            decode_records(records[start : start + _RECORDS_A_STEP], decoder)
            for start in range(0, len(records), _RECORDS_A_STEP)
        ),
        config,
    )


def expect_decoded(steps: Iterable[DecodedRecords], config: Config) -> Expected:
    """The same, of records that are decoded."""
    expected = Expected()
    for decoded in steps:
        result = process(decoded, expected.states, expected.watermark_ms, expected.expiry, config.rules)
        encoded = encode_step(result)
        for role, kept in expected.kept.items():
            kept += encoded[role]
        for role, timelines in expected.timelines.items():
            for key, value, _ in encoded[role]:
                timelines.setdefault(key or b"", []).append(value)
        expected.states.update(result.states)
        expected.rows.update(last_rows((key, value) for key, value, _ in encoded["sessions"]))
        expected.sessions += result.sessions_opened
        expected.watermark_ms, expected.expiry = result.watermark_ms, result.expiry
        expected.events += sum(len(value.events) + len(value.rejections) for value in decoded.values)
    closed = run_timers(expected.states, 0, _NEVER_MS, config.rules)
    expected.rows.update(last_rows((key, value) for key, value, _ in encode_sessions(closed.sessions)))
    return expected


def last_rows(upserts: Iterable[tuple[bytes | None, bytes | None]]) -> dict[bytes, dict[str, Any]]:
    """The last record of each session, ``revision`` aside."""
    rows = {}
    for key, value in upserts:
        row = json.decode(value or b"")
        del row["revision"]
        rows[key or b""] = row
    return rows


async def closed_sessions(
    servers: str, topic: str, only: int | None = None
) -> dict[int, list[ConsumerRecord]]:
    """The sessions topic, once no session in it is open any more; or after a while as it is."""
    deadline = time.monotonic() + _CLOSED_WITHIN_S
    while True:
        sessions = await read_all(servers, topic, only)
        rows = [last_rows((record.key, record.value) for record in found) for found in sessions.values()]
        still_open = any(row["status"] == "open" for found in rows for row in found.values())
        if not still_open or time.monotonic() > deadline:
            return sessions


async def check_promises(config: Config) -> Verdict:
    """Read everything and compare. The workers must have caught up with traffic that is older than a gap, and
    still run, so that every session closes.
    """
    servers = config.kafka.bootstrap_servers
    verdict = Verdict()
    await closed_sessions(servers, config.topics.sessions)
    outputs = {role: await read_all(servers, config.topic_name(role)) for role in OUTPUTS}
    enriched, dead_letters = outputs["enriched"], outputs["dead_letters"]
    changelog = await read_all(servers, config.changelog_topic)
    committed = await committed_offsets(servers, config.kafka.group_id)
    ends = await end_offsets(servers, config.topics.raw)
    for number, records in (await read_all(servers, config.topics.raw)).items():
        expected = expect(records, config)
        for role, kept in expected.kept.items():
            compare(verdict, f"P1 {role}, partition {number}", outputs[role][number], kept)
        outcomes = len(enriched[number]) + len(dead_letters[number])
        if outcomes != expected.events:
            verdict.broken.append(f"P4 partition {number}: {expected.events} events, {outcomes} outcomes")
        offset = committed.get(TopicPartition(config.topics.raw, number))
        compare_state(verdict, number, changelog[number], expected)
        compare_offsets(verdict, number, changelog[number], {config.topics.raw: (ends[number], offset)})
        for role in UPSERTS:
            compare_upserts(verdict, number, role, outputs[role][number], expected)
        verdict.events += expected.events
        verdict.enriched += len(enriched[number])
        verdict.dead_letters += len(dead_letters[number])
        verdict.devices += len(expected.states)
        verdict.sessions += expected.sessions
    return verdict


def compare(
    verdict: Verdict, what: str, found: Sequence[ConsumerRecord], wanted: Sequence[OutputRecord]
) -> None:
    """Byte for byte, in order, with the times of the records."""
    for position, (record, (key, value, timestamp_ms)) in enumerate(zip(found, wanted, strict=False)):
        same_time = timestamp_ms is None or record.timestamp == timestamp_ms
        if record.key != key or record.value != value or not same_time:
            verdict.broken.append(
                f"{what}: record {position} differs: {record.key!r} {record.value!r} at {record.timestamp}, "
                f"expected {key!r} {value!r} at {timestamp_ms}"
            )
            return
    if len(found) != len(wanted):
        verdict.broken.append(f"{what}: {len(found)} records, expected {len(wanted)}")


def compare_upserts(
    verdict: Verdict, number: int, role: Role, found: Sequence[ConsumerRecord], expected: Expected
) -> None:
    """P7: the last record of each session; every record of each key of the other upserts."""
    if role == "sessions":
        _compare_sessions(verdict, number, found, expected)
        return
    timelines: dict[bytes, list[bytes | None]] = {}
    for record in found:
        timelines.setdefault(record.key, []).append(record.value)
    wanted = expected.timelines[role]
    different = sorted(k for k in timelines.keys() | wanted.keys() if timelines.get(k) != wanted.get(k))
    if different:
        verdict.broken.append(
            f"P7 partition {number}: {len(different)} timelines of {role} differ, {different[0]!r}"
        )


def _compare_sessions(
    verdict: Verdict, number: int, found: Sequence[ConsumerRecord], expected: Expected
) -> None:
    rows = last_rows((record.key, record.value) for record in found)
    keys = rows.keys() | expected.rows.keys()
    different = sorted(key for key in keys if rows.get(key) != expected.rows.get(key))
    if different:
        key = different[0]
        verdict.broken.append(
            f"P7 partition {number}: {len(different)} sessions differ, {key!r}: {rows.get(key)}, "
            f"expected {expected.rows.get(key)}"
        )


def compacted(changelog: Sequence[ConsumerRecord]) -> dict[bytes, bytes]:
    """The last value of each key; deleted ones are left out."""
    values = {record.key: record.value for record in changelog}
    return {key: value for key, value in values.items() if value is not None}


def compare_state(
    verdict: Verdict, number: int, changelog: Sequence[ConsumerRecord], expected: Expected
) -> None:
    """P2: the changelog's devices are those of the run."""
    values = compacted(changelog)
    wanted = {hot_key(d): settled(encode_hot(s), encode_cold(s)) for d, s in expected.states.items()}
    states = {
        key: settled(value, values[b"c" + key[1:]])
        for key, value in values.items()
        if device_of_hot_key(key) is not None
    }
    different = [key for key in states.keys() | wanted.keys() if states.get(key) != wanted.get(key)]
    if different:
        verdict.broken.append(
            f"P2 partition {number}: {len(different)} state records differ, {different[0]!r}"
        )
    if META_KEY not in values:
        return
    meta = decode_meta(values[META_KEY])
    found, wanted_clocks = (meta.watermark_ms, meta.expiry), (expected.watermark_ms, expected.expiry)
    if found != wanted_clocks:
        verdict.broken.append(
            f"P2 partition {number}: watermark and expiry clock {found}, expected {wanted_clocks}"
        )


def compare_offsets(
    verdict: Verdict,
    number: int,
    changelog: Sequence[ConsumerRecord],
    offsets: Mapping[str, tuple[int, int | None]],
) -> None:
    """P3. ``offsets``: by input topic, the end of its log, and the offset that is committed."""
    values = compacted(changelog)
    if META_KEY not in values:
        verdict.broken.append(f"P3 partition {number}: no meta record")
        return
    next_offsets = decode_meta(values[META_KEY]).next_offsets
    for topic, (end, committed) in offsets.items():
        if not next_offsets.get(topic) == committed == end:
            verdict.broken.append(
                f"P3 partition {number} of {topic}: meta {next_offsets.get(topic)}, committed {committed}, "
                f"its end {end}"
            )
