"""Everything that one transaction will change. After an abort it is dropped whole.

Knows values only. Invariants: committed states are never changed, a draft holds forks of them; outputs are in
order of arrival, and of a session there is at most one; ``next_offsets``, ``watermark_ms`` and ``expiry``
belong to exactly the records whose outputs are in it (offsets that hold no record may be passed besides);
timers are written to the store with the states that they are for, and never to the changelog.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from worker.core.closing import TimerResult
from worker.core.device_step import StepResult
from worker.core.encode import EncodedStep, encode_sessions
from worker.core.state_codec import (
    META_KEY,
    SCHEMA_VERSION,
    cold_key,
    device_of_timer,
    encode_cold,
    encode_hot,
    encode_meta,
    hot_key,
    moved_timers,
)
from worker.model.events import OLDEST_TIMESTAMP_MS, TIMESTAMP_LIMIT_MS
from worker.model.outputs import OutputRecord
from worker.model.repartition import RepartitionedRecord
from worker.model.state import DeviceState, Meta
from worker.model.topics import OUTPUTS, Role
from worker.ports import StateRecord


class Draft:
    """What the next transaction will commit, on top of ``base``."""

    def __init__(self, base: Meta, opened_at: float) -> None:
        self._base = base
        self.opened_at = opened_at  # monotonic seconds
        self.next_offsets = dict(base.next_offsets)
        self.watermark_ms = base.watermark_ms
        self.expiry = base.expiry
        self.records = 0
        self.events = 0  # enriched, dead letters, dropped, or sent to other partitions
        self.events_repartitioned = 0
        # Of outputs that are no upserts, of what is sent to other partitions, and of devices' recent ids.
        self.output_bytes = 0
        self.sessions_opened = 0
        self.sessions_closed = 0
        self.devices_linked = 0
        self.without_session: Counter[str] = Counter()  # enriched events in no session, by type
        self.duplicates_flagged = 0
        self.duplicates_dropped = 0
        self.dead_letters_by_reason: Counter[str] = Counter()
        self.last_dead_letter: str | None = None  # topic/partition/offset
        self.received_ms: int | None = None  # the earliest that was noted
        self.states: dict[str, DeviceState | None] = {}  # None: expired
        self.fired: list[bytes] = []  # keys of timers that have fired
        self.to_repartition: dict[int, list[RepartitionedRecord]] = {}  # by partition
        self._all: dict[Role, list[OutputRecord]] = {}
        self._last_of_key: dict[Role, dict[bytes | None, OutputRecord]] = {}
        self._expired_armed: dict[str, tuple[int, int]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not self.records and not self.fired and self.next_offsets == self._base.next_offsets

    def fullness(self, events: int, output_bytes: int, timers: int) -> float:
        """The largest share of these limits that it holds; from 1 on it is full."""
        return max(self.events / events, self.output_bytes / output_bytes, len(self.fired) / timers)

    def is_full(self, events: int, output_bytes: int, timers: int) -> bool:
        """Whether it must be committed because of its size, however young it is."""
        return self.fullness(events, output_bytes, timers) >= 1

    def outputs(self, role: Role) -> Sequence[OutputRecord]:
        """The records for the output topic of that role, in order."""
        if OUTPUTS[role].one_per_key:
            return list(self._last_of_key.get(role, {}).values())
        return self._all.get(role, [])

    def add_outputs(self, role: Role, records: Sequence[OutputRecord]) -> None:
        """Add records for the output topic of that role."""
        spec = OUTPUTS[role]
        if spec.one_per_key:
            self._last_of_key.setdefault(role, {}).update([(record[0], record) for record in records])
            return
        self._all.setdefault(role, []).extend(records)
        if spec.cleanup == "delete":  # upserts are few and small
            self.output_bytes += sum([len(value or b"") for _, value, _ in records])

    def add_step(
        self, topic: str, next_offset: int, records: int, result: StepResult, encoded: EncodedStep
    ) -> None:
        """Add the result of a step on ``records`` records of ``topic``, up to ``next_offset``."""
        self.next_offsets[topic] = next_offset
        self.watermark_ms = result.watermark_ms
        self.expiry = result.expiry
        self.records += records
        self.events += len(result.enriched) + len(result.dead_letters) + result.duplicates_dropped
        self.sessions_opened += result.sessions_opened
        self.sessions_closed += result.sessions_closed
        self.devices_linked += result.devices_linked
        self.without_session.update(result.without_session)
        self.duplicates_flagged += result.duplicates_flagged
        self.duplicates_dropped += result.duplicates_dropped
        if result.dead_letters:
            self.dead_letters_by_reason.update(letter.reason for letter, _, _ in result.dead_letters)
            letter = result.dead_letters[-1][0]
            self.last_dead_letter = f"{letter.topic}/{letter.partition}/{letter.offset}"
        self._add_states(result.states)
        for role, outputs in encoded.items():
            self.add_outputs(role, outputs)

    def note_received(self, timestamp_ms: int) -> None:
        """Note when a record was received, where its timestamp can be one in ms."""
        known_ms = self.received_ms
        if OLDEST_TIMESTAMP_MS <= timestamp_ms < TIMESTAMP_LIMIT_MS and (
            known_ms is None or timestamp_ms < known_ms
        ):
            self.received_ms = timestamp_ms

    def pass_to(self, next_offsets: Mapping[str, int]) -> None:
        """Move on to these offsets, past what holds no record: markers, aborted and compacted records."""
        for topic, offset in next_offsets.items():
            self.next_offsets[topic] = max(self.next_offsets[topic], offset)

    def add_repartitioned(self, records: Iterable[RepartitionedRecord]) -> None:
        """Add records that belong to other partitions."""
        for record in records:
            self.to_repartition.setdefault(record.partition, []).append(record)
            self.events += record.events
            self.events_repartitioned += record.events
            self.output_bytes += len(record.value)

    def add_timers(self, result: TimerResult, *, publish_identities: bool) -> None:
        """Add what the timers that fired did: sessions closed, devices expired."""
        self.fired += result.fired
        self.sessions_closed += result.sessions_closed
        self._add_states(result.states)
        self.add_outputs("sessions", encode_sessions(result.sessions))
        for device_id, state in result.expired.items():
            self.states[device_id] = None
            self._expired_armed[device_id] = state.armed
            if publish_identities and state.timeline.links:
                self.add_outputs("identities", [(device_id.encode(), None, None)])

    def _add_states(self, states: Mapping[str, DeviceState]) -> None:
        """Recent ids are written with any change of their device, once a draft."""
        known = self.states
        self.output_bytes += sum([len(states[new].recent_ids) for new in states if new not in known])
        known.update(states)

    @property
    def incarnation(self) -> str:
        """The incarnation of the changelog that it will be written to."""
        return self._base.incarnation

    def meta(self) -> Meta:
        """The meta record that is committed with it."""
        return structs.replace(
            self._base,
            schema=SCHEMA_VERSION,
            next_offsets=self.next_offsets,
            watermark_ms=self.watermark_ms,
            expiry=self.expiry,
        )

    def state_records(self) -> list[StateRecord]:
        """What is written to store and changelog; the meta record is the last one."""
        records: list[StateRecord] = []
        for device_id, state in self.states.items():
            if state is None:
                records += [(hot_key(device_id), None), (cold_key(device_id), None)]
                continue
            records.append((hot_key(device_id), encode_hot(state)))
            if state.cold_changed:
                records.append((cold_key(device_id), encode_cold(state)))
        records.append((META_KEY, encode_meta(self.meta())))
        return records

    def timer_records(self) -> list[StateRecord]:
        """What is written to the store alone: timers that fired, moved or are new."""
        records: list[StateRecord] = [(key, None) for key in self.fired]
        fired = set(map(device_of_timer, self.fired))
        for device_id, state in self.states.items():
            armed = self._expired_armed.get(device_id, (0, 0)) if state is None else state.armed
            records += moved_timers(device_id, state, armed, fired=device_id in fired)
        return records

    def committed_states(self) -> dict[str, DeviceState | None]:
        """The states, marked as committed: their cold records and timers have been written."""
        for state in self.states.values():
            if state is not None:
                state.cold_changed = False
                state.armed = (state.close_at_ms, state.expire_at_ms)
        return self.states
