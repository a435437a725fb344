"""Takes raw records through every rule: decode, link, session; what comes out is ready to be encoded.

Knows records, states and rules. It must not know where states are kept, how outputs travel or what time it
is. Invariants: every element of every record ends in exactly one of ``enriched`` or ``dead_letters``; the
states given are never changed, new ones are returned; the result is the same however records are cut into
calls.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from worker.core.closing import close_forever
from worker.core.continuation import ShortWay
from worker.core.decode import Decoder
from worker.core.device_step import enrich
from worker.core.expiry import advanced, clock_ms, is_expired
from worker.core.session_changes import SessionChanges
from worker.model.events import (
    OLDEST_TIMESTAMP_MS,
    TIMESTAMP_LIMIT_MS,
    DecodedValue,
    InputRecord,
    Rejection,
)
from worker.model.outputs import DeadLetter, EnrichedEvent, IdentityRecord, SessionRecord
from worker.model.rules import Rules
from worker.model.state import DeviceState, ExpiryClock


class DecodedRecords(Struct, frozen=True):
    """Records beside what was in them, and the devices whose states the next step needs."""

    records: Sequence[InputRecord]
    values: Sequence[DecodedValue]
    device_ids: frozenset[str]


class StepResult(Struct):
    """All that a step decided. Outputs are in the order of arrival, so each device's are too.

    ``dead_letters`` holds (letter, the raw record, payload). ``sessions`` and ``identities`` may hold a
    session or device more than once: its last record counts. An identity is None where the device was
    forgotten, and begins anew.
    """

    enriched: list[EnrichedEvent]
    dead_letters: list[tuple[DeadLetter, InputRecord, bytes]]
    sessions: list[SessionRecord]
    identities: list[tuple[str, IdentityRecord | None]]  # (device id, record)
    states: dict[str, DeviceState]
    watermark_ms: int
    expiry: ExpiryClock
    sessions_opened: int
    sessions_closed: int
    devices_linked: int


def decode_records(records: Sequence[InputRecord], decoder: Decoder) -> DecodedRecords:
    """Decode the records and name the devices in them. Never raises on input."""
    values = decoder.decode_many([record.value for record in records])
    device_ids = frozenset([event.device_id for value in values for event in value.events])
    return DecodedRecords(records, values, device_ids)


def process(
    decoded: DecodedRecords,
    states: Mapping[str, DeviceState],
    watermark_ms: int,
    expiry: ExpiryClock,
    rules: Rules,
) -> StepResult:
    """Apply the rules to decoded records, in order.

    ``states`` holds the committed or drafted state of every known device in ``decoded.device_ids``; a missing
    one is a new device. ``watermark_ms`` and ``expiry`` are the partition's event watermark and expiry clock
    before. Never raises on input.
    """
    forks: dict[str, DeviceState] = {}
    result = StepResult([], [], [], [], forks, watermark_ms, expiry, 0, 0, 0)
    max_future_ms = rules.session.max_future_ms
    take_plain = ShortWay(rules).take
    enriched, sessions, identities, changes = (
        result.enriched,
        result.sessions,
        result.identities,
        SessionChanges(),
    )
    for record, value in zip(decoded.records, decoded.values, strict=True):
        # When the record came in, by Kafka; None when it has no usable timestamp.
        received_at = record.timestamp if record.timestamp >= OLDEST_TIMESTAMP_MS else None
        limit_ms = TIMESTAMP_LIMIT_MS if received_at is None else received_at + max_future_ms
        expiry_ms, newest_ms = clock_ms(expiry, rules), 0
        device_id = None
        state: DeviceState | None = None
        events = iter(value.events)
        event = next(events, None)
        while event is not None:
            if event.device_id != device_id:  # a run of one device's events looks it up once
                device_id = event.device_id
                state = forks.get(device_id)
                if state is None and (known := states.get(device_id)) is not None:
                    state = forks[device_id] = known.fork()
            if state is not None:
                left = take_plain(event, events, state, limit_ms, received_at, expiry_ms, enriched)
                if left is not event:
                    newest_ms = max(newest_ms, state.newest_ms)
                    if received_at is not None and state.newest_ms > watermark_ms:
                        watermark_ms = state.newest_ms
                    event = left
                    continue
            t_ms = event.timestamp if event.timestamp <= limit_ms else limit_ms
            if state is None or is_expired(state, t_ms, expiry_ms, rules):
                armed = (0, 0)
                if state is not None:
                    armed = state.armed
                    sessions += close_forever(event.device_id, state, rules, changes)
                    if rules.publish_identities and state.links:
                        identities.append((event.device_id, None))
                state = DeviceState(newest_ms=t_ms, first_seen_ms=t_ms, armed=armed)
                forks[event.device_id] = state
            special = enrich(
                event, state, t_ms, received_at, watermark_ms, rules, changes, sessions, identities
            )
            enriched.append(special)
            if special.session_cause is not None:
                result.sessions_opened += 1
            if "linked" in special.flags:
                result.devices_linked += 1
            newest_ms = max(newest_ms, t_ms)
            if received_at is not None and t_ms > watermark_ms:
                watermark_ms = t_ms
            event = next(events, None)
        if newest_ms and received_at is not None:
            expiry = advanced(expiry, newest_ms, rules)
        if value.rejections:
            result.dead_letters += _dead_letters(record, value.rejections, received_at)
    result.watermark_ms, result.expiry, result.sessions_closed = watermark_ms, expiry, changes.closed
    return result


def _dead_letters(
    record: InputRecord, rejections: Sequence[Rejection], received_at: int | None
) -> list[tuple[DeadLetter, InputRecord, bytes]]:
    """Of everything that was refused in one record, in order."""
    return [
        (
            DeadLetter(
                reason=rejection.reason,
                detail=rejection.detail,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                index=rejection.index,
                received_at=received_at,
            ),
            record,
            rejection.payload,
        )
        for rejection in rejections
    ]
