"""The promises of exactly-once, each as a check of what the broker holds against an undisturbed run.

The reference takes the raw log record by record through the pure core, and keeps its states in memory without
ever writing or reading them back, so that batching, transactions, stores and state records are all on the
other side. Knows nothing of faults or tasks. A broken promise raises ``BrokenPromiseError``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import json

from tests.builders import Record
from tests.simulation.broken import BrokenPromiseError
from tests.simulation.broker import Broker
from tests.simulation.closing import check_armed, check_streams, check_timers, last_sessions, living
from tests.simulation.store import Disk, apply
from tests.simulation.traffic import RAW_TOPIC
from worker.core.closing import tend
from worker.core.decode import Decoder
from worker.core.encode import encode_sessions, encode_step
from worker.core.pipeline import decode_records, process
from worker.core.state_records import META_KEY, cold_key, decode_meta, encode_cold, encode_hot, hot_key
from worker.model.outputs import OutputRecord
from worker.model.rules import Rules
from worker.model.state import DeviceState
from worker.task.topics import TaskTopics

TOPICS = TaskTopics(
    raw=RAW_TOPIC,
    enriched="events.enriched",
    dead_letters="events.dead-letters",
    sessions="events.sessions",
    identities="events.identities",
    changelog="sessionizer.changelog",
)
RULES = Rules()
NEVER_MS = 2**53


class Reference:
    """What an undisturbed run makes of the raw log, and its state after each record.

    ``sessions`` and ``identities`` as ``check_streams`` wants them: when the input had ended, everything was
    closed and what was due was forgotten.
    """

    def __init__(self, raw: Sequence[Record | None]) -> None:
        self.enriched: list[OutputRecord] = []
        self.dead_letters: list[OutputRecord] = []
        self.records = [record for record in raw if record is not None]
        self.next_offset = self.records[-1].offset + 1
        self.watermarks = {0: 0}  # by next offset
        self.changes: dict[int, dict[bytes, bytes]] = {}  # by offset
        decoder = Decoder(RULES.input, RULES.identity)
        states: dict[str, DeviceState] = {}
        watermark_ms = 0
        sessions: list[OutputRecord] = []
        identities: list[OutputRecord] = []
        for record in self.records:
            result = process(decode_records([record], decoder), states, watermark_ms, RULES)
            states.update(result.states)
            watermark_ms = self.watermarks[record.offset + 1] = result.watermark_ms
            change = self.changes[record.offset] = {}
            for device_id, state in result.states.items():
                change[hot_key(device_id)] = encode_hot(state)
                change[cold_key(device_id)] = encode_cold(state)
            encoded = encode_step(result)
            self.enriched += encoded.enriched
            self.dead_letters += encoded.dead_letters
            sessions += encoded.sessions
            identities += encoded.identities
        self.newest_ms = max((state.newest_ms for state in states.values()), default=0)
        tended = tend(states, watermark_ms, NEVER_MS, RULES)
        self.sessions = last_sessions(sessions + encode_sessions(tended.sessions))
        identities += [(d.encode(), None, None) for d, state in tended.forgotten.items() if state.links]
        self.identities: dict[bytes, list[Any]] = {}
        for key, value, _ in identities:
            self.identities.setdefault(key or b"", []).append(None if value is None else json.decode(value))
        self.next_record = {
            offset: next((r.offset for r in self.records if r.offset >= offset), len(raw))
            for offset in range(len(raw) + 1)
        }


def check_equality(broker: Broker, reference: Reference) -> None:
    """P1: outputs are those of the undisturbed run, in order and byte for byte."""
    for topic, expected in (
        (TOPICS.enriched, reference.enriched),
        (TOPICS.dead_letters, reference.dead_letters),
    ):
        found = [record for _, record in broker.read_committed(topic)]
        if found == expected:
            continue
        place = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), len(found))
        raise BrokenPromiseError(
            f"P1 equality: {topic} has {len(found)} records, expected {len(expected)}; at {place}: "
            f"{found[place : place + 1]} instead of {expected[place : place + 1]}"
        )


def check_state(broker: Broker, reference: Reference) -> None:
    """P2: after every transaction the changelog holds the state of the undisturbed run at the same offset.

    But for what time has closed and forgotten.
    """
    content: dict[bytes, bytes] = {}
    expected: dict[bytes, bytes] = {}
    done = 0
    for offset, (key, value, _) in broker.history(TOPICS.changelog):
        assert key is not None
        apply(content, [(key, value)])
        if key != META_KEY:
            continue
        assert value is not None
        meta = decode_meta(value)
        next_offset = meta.next_offsets[RAW_TOPIC]
        for position in range(done, next_offset):
            expected.update(reference.changes.get(position, {}))
        done = next_offset
        _same_content(
            f"P2 state: the changelog below {offset + 1}",
            living(content, meta.watermark_ms, RULES),
            living(expected, meta.watermark_ms, RULES),
        )
        check_armed(f"the changelog below {offset + 1}", content, RULES)
        if meta.watermark_ms != reference.watermarks.get(next_offset):
            raise BrokenPromiseError(
                f"P2 state: watermark {meta.watermark_ms} at offset {next_offset}, "
                f"expected {reference.watermarks.get(next_offset)}"
            )


def check_store(broker: Broker, disk: Disk) -> None:
    """P2: a store holds exactly what the changelog holds, or held before compaction, below its checkpoint."""
    if disk.corrupt or not disk.writes:
        return
    end = disk.writes[-1][1].changelog_offset
    found = disk.content()
    expected: dict[bytes, bytes] = {}
    for offset, (key, value, _) in broker.history(TOPICS.changelog):
        assert key is not None
        # What was compacted away may have gone before this store could read it: a newer value follows.
        if offset < end and (found.get(key) == value or not broker.was_compacted(TOPICS.changelog, offset)):
            apply(expected, [(key, value)])
    _same_content(f"P2 state: a store at {end}", _without_timers(found), expected)
    check_timers(f"a store at {end}", found)


def check_offsets(broker: Broker, reference: Reference) -> None:
    """P3: the group's committed offset is the meta record's, and the end of the input."""
    meta_values = [value for _, (key, value, _) in broker.read_committed(TOPICS.changelog) if key == META_KEY]
    in_meta = decode_meta(meta_values[-1] or b"").next_offsets if meta_values else None
    if not in_meta == broker.group_offsets == {RAW_TOPIC: reference.next_offset}:
        raise BrokenPromiseError(
            f"P3 offsets: meta record {in_meta}, group {broker.group_offsets}, "
            f"input ends at {reference.next_offset}"
        )


def check_conservation(broker: Broker, reference: Reference) -> None:
    """P4: each event has one fate. Counted by what was sent, without the core."""
    sent: Counter[str] = Counter()
    for record in reference.records:
        try:
            batch = json.decode(record.value or b"")
        except ValueError:
            batch = None
        if not isinstance(batch, list):
            sent[f"{record.offset}"] += 1
            continue
        for index, event in enumerate(batch):
            good = isinstance(event, dict) and event.get("timestamp", 1) > 1
            sent[event["id"] if good else f"bad {record.offset}-{index}"] += 1
    fates: Counter[str] = Counter(event["id"] for event in _decoded(broker, TOPICS.enriched))
    for letter in _decoded(broker, TOPICS.dead_letters):
        place = f"bad {letter['offset']}-{letter['index']}" if "index" in letter else f"{letter['offset']}"
        fates[place] += 1
    if fates != sent:
        lost, made_up = dict(sent - fates), dict(fates - sent)
        raise BrokenPromiseError(f"P4 conservation: lost {lost}, repeated or made up {made_up}")


def check_all(broker: Broker, reference: Reference, disks: Iterable[Disk], fully_read: Iterable[int]) -> None:
    """Every promise about what is there, once all is consumed and all workers have stopped."""
    check_equality(broker, reference)
    check_state(broker, reference)
    for disk in disks:
        check_store(broker, disk)
    check_offsets(broker, reference)
    check_conservation(broker, reference)
    check_streams(
        broker,
        TOPICS,
        RULES,
        reference.sessions,
        reference.identities,
        fully_read,
        reference.next_record,
    )


def _decoded(broker: Broker, topic: str) -> Iterable[dict[str, Any]]:
    return (json.decode(value or b"") for _, (_, value, _) in broker.read_committed(topic))


def _without_timers(content: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: value for key, value in content.items() if not key.startswith(b"t")}


def _same_content(what: str, found: Mapping[bytes, bytes], expected: Mapping[bytes, bytes]) -> None:
    if found != expected:
        keys = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
        raise BrokenPromiseError(
            f"{what}: {len(keys)} keys differ, first {keys[0]!r}: "
            f"{found.get(keys[0])!r} instead of {expected.get(keys[0])!r}"
        )
