"""Everything that one transaction will change. After an abort it is dropped whole.

Knows values only. Invariants: committed states are never changed, a draft holds forks of them; outputs are in
order of arrival, and of a session there is at most one; ``watermark_ms`` and ``expiry`` belong to exactly the
records whose outputs are in it; timers are written to the store with the states that they are for, and never
to the changelog.
"""

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
from worker.engine.protocol import Counters
from worker.model.events import OLDEST_TIMESTAMP_MS, TIMESTAMP_LIMIT_MS
from worker.model.outputs import OutputRecord
from worker.model.repartition import RepartitionedRecord
from worker.model.state import DeviceState, Meta, StateRecord
from worker.model.topics import OUTPUTS, Role


class Draft:
    """What the next transaction will commit, on top of ``base``."""

    def __init__(self, base: Meta) -> None:
        self._base = base
        self.watermark_ms = base.watermark_ms
        self.expiry = base.expiry
        self.counters = Counters()
        self.states: dict[str, DeviceState | None] = {}  # None: expired
        self.fired: list[bytes] = []  # keys of timers that have fired
        self.to_repartition: dict[int, list[RepartitionedRecord]] = {}  # by partition
        self._all: dict[Role, list[OutputRecord]] = {}
        self._last_of_key: dict[Role, dict[bytes | None, OutputRecord]] = {}
        self._expired_armed: dict[str, tuple[int, int]] = {}
        self._recent_ids_bytes = 0  # of the states

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
            self.counters.output_bytes += sum([len(value or b"") for _, value, _ in records])

    def add_step(self, records: int, result: StepResult, encoded: EncodedStep) -> None:
        """Add the result of a step on that many records."""
        self.watermark_ms = result.watermark_ms
        self.expiry = result.expiry
        counters = self.counters
        counters.records += records
        counters.events += len(result.enriched) + len(result.dead_letters) + result.duplicates_dropped
        counters.enriched += len(result.enriched)
        counters.sessions_opened += result.sessions_opened
        counters.sessions_closed += result.sessions_closed
        counters.devices_added += result.devices_added
        counters.devices_linked += result.devices_linked
        counters.devices_identified += result.devices_identified
        counters.without_session.update(result.without_session)
        counters.duplicates_flagged += result.duplicates_flagged
        counters.duplicates_dropped += result.duplicates_dropped
        if result.dead_letters:
            counters.dead_letters_by_reason.update(letter.reason for letter, _, _ in result.dead_letters)
            letter = result.dead_letters[-1][0]
            counters.last_dead_letter = f"{letter.topic}/{letter.partition}/{letter.offset}"
        self._add_states(result.states)
        for role, outputs in encoded.items():
            self.add_outputs(role, outputs)

    def note_received(self, timestamps_ms: Iterable[int]) -> None:
        """Note when the earliest of some records was received, by those timestamps that can be in ms."""
        possible = [each for each in timestamps_ms if OLDEST_TIMESTAMP_MS <= each < TIMESTAMP_LIMIT_MS]
        known_ms = self.counters.received_ms
        if possible and (known_ms is None or min(possible) < known_ms):
            self.counters.received_ms = min(possible)

    def add_repartitioned(self, records: Iterable[RepartitionedRecord]) -> None:
        """Add records that belong to other partitions."""
        counters = self.counters
        for record in records:
            self.to_repartition.setdefault(record.partition, []).append(record)
            counters.events += record.events
            counters.events_repartitioned += record.events
            counters.output_bytes += len(record.value)

    def add_timers(self, result: TimerResult, *, publish_identities: bool) -> None:
        """Add what the timers that fired did: sessions closed, devices expired."""
        self.fired += result.fired
        self.counters.timers = len(self.fired)
        self.counters.sessions_closed += result.sessions_closed
        self._add_states(result.states)
        self.add_outputs("sessions", encode_sessions(result.sessions))
        for device_id, state in result.expired.items():
            self.states[device_id] = None
            self._expired_armed[device_id] = state.armed
            if publish_identities and state.timeline.links:
                self.add_outputs("identities", [(device_id.encode(), None, None)])

    def _add_states(self, states: Mapping[str, DeviceState]) -> None:
        """Recent ids are written with any change of their device, once a draft, as they are at its end."""
        drafted = self.states
        added_bytes = sum([len(state.recent_ids) for state in states.values()])
        if added_bytes or self._recent_ids_bytes:
            known = [before for device_id in states if (before := drafted.get(device_id)) is not None]
            added_bytes -= sum([len(before.recent_ids) for before in known])
            self._recent_ids_bytes += added_bytes
            self.counters.output_bytes += added_bytes
        drafted.update(states)

    def meta(self, next_offsets: Mapping[str, int]) -> Meta:
        """The meta record that is committed with it."""
        return structs.replace(
            self._base,
            schema=SCHEMA_VERSION,
            next_offsets=dict(next_offsets),
            watermark_ms=self.watermark_ms,
            expiry=self.expiry,
        )

    def state_records(self, meta: Meta) -> list[StateRecord]:
        """What is written to store and changelog; the meta record is the last one."""
        records: list[StateRecord] = []
        for device_id, state in self.states.items():
            if state is None:
                records += [(hot_key(device_id), None), (cold_key(device_id), None)]
                continue
            records.append((hot_key(device_id), encode_hot(state)))
            if state.cold_changed:
                records.append((cold_key(device_id), encode_cold(state)))
        records.append((META_KEY, encode_meta(meta)))
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
