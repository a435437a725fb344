"""Takes raw records through every rule: decode, link, session; what comes out is ready to be encoded.

Knows records, states and rules. It must not know where states are kept, how outputs travel or what time it
is. Invariants: every element of every record ends in exactly one of ``enriched`` or ``dead_letters``; the
states given are never changed, new ones are returned; the result is the same however records are cut into
calls.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from worker.core.decode import Decoder
from worker.core.identity import linked, unlinked, user_at
from worker.core.sessions import action_of, has_options, place, place_plain
from worker.model.events import OLDEST_TIMESTAMP_MS, DecodedValue, Event, InputRecord
from worker.model.outputs import DeadLetter, EnrichedEvent, Flag
from worker.model.rules import Rules, SessionRules
from worker.model.state import DeviceState


class DecodedRecords(Struct, frozen=True):
    """Records beside what was in them, and the devices whose states the next step needs."""

    records: Sequence[InputRecord]
    values: Sequence[DecodedValue]
    device_ids: frozenset[str]


class StepResult(Struct):
    """All that a step decided. Outputs are in the order of arrival, so each device's are too.

    ``enriched`` holds (event, record timestamp in ms or None), ``dead_letters`` (letter, the raw record).
    """

    enriched: list[tuple[EnrichedEvent, int | None]]
    dead_letters: list[tuple[DeadLetter, InputRecord, bytes]]
    states: dict[str, DeviceState]
    watermark_ms: int
    sessions_opened: int
    devices_linked: int


def received_at_ms(record: InputRecord) -> int | None:
    """When the record came in, by Kafka; None when it has no usable timestamp."""
    return record.timestamp if record.timestamp >= OLDEST_TIMESTAMP_MS else None


def decode_records(records: Sequence[InputRecord], decoder: Decoder) -> DecodedRecords:
    """Decode the records and name the devices in them. Never raises on input."""
    values = decoder.decode_many([record.value for record in records])
    device_ids = frozenset([event.device_id for value in values for event in value.events])
    return DecodedRecords(records, values, device_ids)


def process(
    decoded: DecodedRecords,
    states: Mapping[str, DeviceState],
    watermark_ms: int,
    rules: Rules,
) -> StepResult:
    """Apply the rules to decoded records, in order.

    ``states`` holds the committed or drafted state of every known device in ``decoded.device_ids``; a missing
    one is a new device. ``watermark_ms`` is the partition's event watermark before. Never raises on input.
    """
    forks: dict[str, DeviceState] = {}
    result = StepResult([], [], forks, watermark_ms, 0, 0)
    session_rules = rules.session
    max_future_ms = session_rules.max_future_ms
    retention_ms = rules.retention_ms
    append = result.enriched.append
    for record, value in zip(decoded.records, decoded.values, strict=True):
        received_at = received_at_ms(record)
        limit_ms = None if received_at is None else received_at + max_future_ms
        device_id = None
        state: DeviceState | None = None
        for event in value.events:
            if event.device_id != device_id:  # a run of one device's events looks it up once
                device_id = event.device_id
                state = forks.get(device_id)
                if state is None:
                    known = states.get(device_id)
                    if known is not None:
                        state = forks[device_id] = known.fork()
            t_ms = event.timestamp if limit_ms is None or event.timestamp <= limit_ms else limit_ms
            if state is None or t_ms - state.newest_ms > retention_ms:
                state = forks[event.device_id] = DeviceState(newest_ms=t_ms, first_seen_ms=t_ms)
            append((_enrich(event, state, t_ms, received_at, session_rules, result), received_at))
            if received_at is not None and t_ms > result.watermark_ms:
                result.watermark_ms = t_ms
        for rejection in value.rejections:
            letter = DeadLetter(
                reason=rejection.reason,
                detail=rejection.detail,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                index=rejection.index,
                received_at=received_at,
            )
            result.dead_letters.append((letter, record, rejection.payload))
    return result


def _enrich(
    event: Event,
    state: DeviceState,
    t_ms: int,
    received_at: int | None,
    rules: SessionRules,
    result: StepResult,
) -> EnrichedEvent:
    """One event through the rules of one device. ``state`` is a fork and is changed in place."""
    flags: list[Flag] = []
    if state.event_count == 0:
        flags.append("new_device")

    links = state.links
    user_source: Literal["event", "device"] | None
    if event.user_id is None:
        user = user_at(links, t_ms)
        user_source = None if user is None else "device"
    else:
        user = event.user_id
        user_source = "event"
        state.links = linked(links, t_ms, user)
    if rules.event_types and action_of(event.type, rules) == "unlink":
        state.links = unlinked(state.links, t_ms)

    session, cause = (place if has_options(rules) else place_plain)(state, event, t_ms, rules)

    if cause is not None:
        flags.append("session_start")
        result.sessions_opened += 1
    if state.links is not links:
        flags.append("linked")
        result.devices_linked += 1
        state.cold_changed = True
    behind_ms = state.newest_ms - t_ms
    if behind_ms > 0:
        flags.append("out_of_order")
        if behind_ms > rules.gap_ms + rules.grace_ms:
            flags.append("late")
    else:
        state.newest_ms = t_ms
    if t_ms != event.timestamp:
        flags.append("clock_skew")
    if t_ms < state.first_seen_ms:
        state.first_seen_ms = t_ms
        state.cold_changed = True
    state.event_count += 1

    enriched = EnrichedEvent(
        id=event.id,
        type=event.type,
        device_id=event.device_id,
        timestamp=event.timestamp,
        user_id=user,
        user_source=user_source,
        session_cause=cause,
        received_at=received_at,
        flags=tuple(flags) if flags else (),
        view_id=event.view_id,
        data=event.data,
        extra=event.extra,
    )
    if session is not None:
        enriched.session_id = session.id
        enriched.session_source = "client" if session.client else "assigned"
        enriched.session_start = session.start_ms
        enriched.session_number = session.number
        enriched.event_number = session.event_count
    return enriched
