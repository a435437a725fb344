"""The promises about timers: sessions close, devices expire, and the upserts of both say so.

When a session closes depends on transactions, other devices and the wall clock; its last record must not. So
states are compared as if every open session had closed and every due device had expired, and upserts by the
last record of each key. Knows nothing of faults or tasks. A broken promise raises ``BrokenPromiseError``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import json

from tests.settled_state import settled
from tests.simulation.broken_promise import BrokenPromiseError
from tests.simulation.broker import Broker, TopicPartition, TransactionUnit
from tests.simulation.transaction_checks import committed_transactions
from worker.core.expiry import expires_after_ms
from worker.core.session_changes import closes_at_ms
from worker.core.state_codec import decode_state, timer_key, times_of
from worker.model.outputs import OutputRecord
from worker.model.rules import Rules
from worker.model.state import DeviceState, Meta
from worker.model.topics import OUTPUTS, Role
from worker.task.layout import TaskTopics

# --- states ---


def unexpired(content: Mapping[bytes, bytes], expiry_ms: int, rules: Rules) -> dict[bytes, bytes]:
    """By hot key the states of devices that are not due to expire, as if their sessions had closed."""
    devices = {}
    for key, hot in content.items():
        if key.startswith(b"h"):
            newest_ms, state = settled(hot, content[b"c" + key[1:]])
            if expiry_ms <= newest_ms + expires_after_ms(rules):
                devices[key] = state
    return devices


def check_armed(what: str, content: Mapping[bytes, bytes], rules: Rules) -> None:
    """P6: each device has timers no later than when its first open session closes and when it expires."""
    for key, hot in content.items():
        if key.startswith(b"h"):
            _check_armed(f"P6 timers: {what}: {key!r}", decode_state(hot, content[b"c" + key[1:]]), rules)


def _check_armed(what: str, state: DeviceState, rules: Rules) -> None:
    sessions = [*state.older, *([] if state.current is None else [state.current])]
    for session in sessions:
        due_ms = closes_at_ms(session, rules.session)
        if session.closed is None and not 0 < state.close_at_ms <= due_ms:
            raise BrokenPromiseError(
                f"{what} has its timer at {state.close_at_ms}, {session.id} closes at {due_ms}"
            )
    due_ms = state.newest_ms + expires_after_ms(rules)
    if not 0 < state.expire_at_ms <= due_ms:
        raise BrokenPromiseError(f"{what} has its timer at {state.expire_at_ms}, it expires at {due_ms}")


def check_timers(what: str, content: Mapping[bytes, bytes]) -> None:
    """P6: each time in a device's record has a timer in the store. More timers do no harm."""
    for key, hot in content.items():
        if key.startswith(b"h"):
            close_at_ms, expire_at_ms = times_of(hot)
            wanted = {timer_key("close", close_at_ms, key[1:])} if close_at_ms else set()
            wanted.add(timer_key("expire", expire_at_ms, key[1:]))
            missing = wanted - content.keys()
            if missing:
                raise BrokenPromiseError(f"P6 timers: {what}: {missing} of {key!r} is missing")


# --- streams ---


def check_streams(
    broker: Broker,
    topics: TaskTopics,
    partition: int,
    rules: Rules,
    outputs: Mapping[Role, Sequence[OutputRecord]],
    fully_read: Iterable[tuple[int, tuple[int, ...]]],
) -> None:
    """All of P7: the upserts of one partition.

    ``outputs`` has the expected records by role: of a session the last counts, revision aside; of other keys
    all, in order. ``fully_read``: the partitions and offsets at which all inputs had been read to their ends.
    """
    _check_sessions(broker, topics, partition, rules, last_sessions(outputs["sessions"]))
    ends = [offsets for number, offsets in fully_read if number == partition]
    _check_closing_by_the_clock(broker, topics, partition, rules, ends)
    for role, spec in OUTPUTS.items():
        if spec.cleanup == "compact" and role != "sessions":
            found = [entry.record for _, entry in broker.written(topics.outputs[role], partition)]
            timelines, expected = _by_key(filter(None, found)), _by_key(outputs[role])
            if timelines != expected:
                key = min(k for k in {*timelines, *expected} if timelines.get(k) != expected.get(k))
                raise BrokenPromiseError(
                    f"P7 {role}: {key!r}: {timelines.get(key)} instead of {expected.get(key)}"
                )


def _by_key(records: Iterable[OutputRecord]) -> dict[bytes, list[Any]]:
    """All values of each key; None for a tombstone."""
    timelines: dict[bytes, list[Any]] = {}
    for key, value, _ in records:
        timelines.setdefault(key or b"", []).append(None if value is None else json.decode(value))
    return timelines


def _check_sessions(
    broker: Broker,
    topics: TaskTopics,
    partition: int,
    rules: Rules,
    sessions: Mapping[bytes, dict[str, Any]],
) -> None:
    runs = _DeviceRuns(broker, topics, partition)
    found: dict[bytes, dict[str, Any]] = {}
    seen_in: dict[bytes, TransactionUnit | None] = {}
    for _, entry in broker.written(topics.outputs["sessions"], partition):
        assert entry.record is not None
        key, row = entry.record[0], entry.decoded()
        assert key is not None
        if key in found and runs.same(row["device_id"], seen_in[key], entry.unit):
            _check_revision(key, found[key], row, rules)
        found[key], seen_in[key] = row, entry.unit
    last = {key: without_revision(row) for key, row in found.items()}
    if last != sessions:
        key = min(k for k in {*last, *sessions} if last.get(k) != sessions.get(k))
        raise BrokenPromiseError(f"P7 sessions: {key!r}: {last.get(key)} instead of {sessions.get(key)}")
    for key, row in found.items():
        _check_chain(key, found)
        if row["status"] == "open":
            raise BrokenPromiseError(f"P7 sessions: {key!r} is still open")
    _check_once_a_transaction(broker, topics.outputs["sessions"], partition)


def without_revision(row: dict[str, Any]) -> dict[str, Any]:
    """A session's record as far as it is a function of the device's events."""
    return {name: value for name, value in row.items() if name != "revision"}


def last_sessions(records: Iterable[OutputRecord]) -> dict[bytes, dict[str, Any]]:
    """The last record of each key."""
    return {key or b"": without_revision(json.decode(value or b"")) for key, value, _ in records}


class _DeviceRuns:
    """When each device was new: at its first event, and again after it expired."""

    def __init__(self, broker: Broker, topics: TaskTopics, partition: int) -> None:
        units = [unit for unit, _ in committed_transactions(broker, topics, partition)]
        self._numbers = {id(unit): number for number, unit in enumerate(units)}
        self._first_events: dict[str, list[int]] = {}
        for _, entry in broker.written(topics.outputs["enriched"], partition):
            event = entry.decoded()
            if "new_device" in event.get("flags", ()):
                self._first_events.setdefault(event["device_id"], []).append(self._numbers[id(entry.unit)])

    def same(self, device_id: str, one: TransactionUnit | None, other: TransactionUnit | None) -> bool:
        """Whether the device certainly did not expire between the two transactions."""
        first, last = self._numbers[id(one)], self._numbers[id(other)]
        return not any(first <= first_event <= last for first_event in self._first_events[device_id])


def _check_revision(key: bytes, before: dict[str, Any], row: dict[str, Any], rules: Rules) -> None:
    """Revisions grow, but for a client's id of an evicted session, which is another session."""
    if before["session_number"] != row["session_number"]:
        return
    if row["revision"] <= before["revision"] and row["start"] - before["end"] <= rules.retention_ms:
        raise BrokenPromiseError(f"P7 sessions: {key!r}: revision {row} after {before}")


def _check_chain(key: bytes, rows: Mapping[bytes, dict[str, Any]]) -> None:
    """A merged session names the one it was merged into; the last of such a chain is not merged."""
    seen = set()
    while rows[key]["status"] == "merged":
        seen.add(key)
        key = key.rpartition(b"/")[0] + b"/" + rows[key]["merged_into"].encode()
        if key in seen or key not in rows:
            raise BrokenPromiseError(f"P7 sessions: merged_into leads from {seen} to nothing")


def _check_once_a_transaction(broker: Broker, topic: str, partition: int) -> None:
    records = [(entry.unit, entry.record) for _, entry in broker.written(topic, partition)]
    counts = Counter((id(unit), record[0]) for unit, record in records if record is not None)
    for (_, key), count in counts.items():
        if count > 1:
            raise BrokenPromiseError(f"P7 sessions: {key!r} {count} times in one transaction")


def _check_closing_by_the_clock(
    broker: Broker, topics: TaskTopics, partition: int, rules: Rules, fully_read: Iterable[tuple[int, ...]]
) -> None:
    """Sessions close by the watermark of the transaction before, or when all inputs had been read.

    Devices that have events in the same transaction are left out.
    """
    inputs = topics.inputs
    next_records = [_next_records(broker, (topic, partition)) for topic in inputs]
    read_whole = {_at_records(offsets, next_records) for offsets in fully_read}
    bases: dict[int, Meta] = {}
    base: Meta | None = None
    for unit, meta in committed_transactions(broker, topics, partition):
        bases[id(unit)] = base or meta
        base = meta
    active = {
        (id(entry.unit), entry.record[0])
        for _, entry in broker.written(topics.outputs["enriched"], partition)
        if entry.record is not None
    }
    for _, entry in broker.written(topics.outputs["sessions"], partition):
        row = entry.decoded()
        if row.get("close_reason") != "inactivity" or (id(entry.unit), row["device_id"].encode()) in active:
            continue
        before = bases[id(entry.unit)]
        if before.watermark_ms > row["end"] + rules.session.gap_ms + rules.session.grace_ms:
            continue
        if _at_records([before.next_offsets[topic] for topic in inputs], next_records) not in read_whole:
            raise BrokenPromiseError(
                f"P7 sessions: {row['session_id']} was closed by the clock at {before.next_offsets}, while "
                "there was more to read"
            )


def _next_records(broker: Broker, place: TopicPartition) -> list[int]:
    """By offset the offset of the committed record there, or of the next one."""
    log = broker.log(place)
    found = [len(log)] * (len(log) + 1)
    for offset in range(len(log) - 1, -1, -1):
        found[offset] = offset if log[offset].committed else found[offset + 1]
    return found


def _at_records(offsets: Sequence[int], next_records: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple([known[offset] for offset, known in zip(offsets, next_records, strict=True)])
