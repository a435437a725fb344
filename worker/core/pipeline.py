"""Raw records and the states of their devices become outputs and new states, by all rules.

Knows records, states and rules. It must not know where states are kept, how outputs travel or what time it
is. Invariants: every element of every record ends in exactly one of ``enriched`` or ``dead_letters``, or is a
duplicate that is dropped and counted; the states given are never changed, new ones are returned; the result
is the same however records are cut into calls.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from worker.core.decode import Decoder
from worker.core.device_step import DeviceStep, StepResult
from worker.model.events import OLDEST_TIMESTAMP_MS, DecodedValue, InputRecord, Rejection
from worker.model.outputs import DeadLetter
from worker.model.rules import Rules
from worker.model.state import DeviceState, ExpiryClock


class DecodedRecords(Struct, frozen=True):
    """Records beside what was in them, and the devices whose states the next step needs."""

    records: Sequence[InputRecord]
    values: Sequence[DecodedValue]
    device_ids: frozenset[str]


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

    >>> from worker.model.events import PlainRecord
    >>> rules = Rules()
    >>> value = b'[{"id": "e1", "type": "click", "device_id": "d1", "timestamp": 1772445600000}, "no event"]'
    >>> record = PlainRecord("events.raw", 0, 17, 1_772_445_600_123, None, value)
    >>> decoded = decode_records([record], Decoder(rules.input, rules.identity))
    >>> result = process(decoded, {}, 0, ExpiryClock(), rules)
    >>> result.enriched[0].flags, result.enriched[0].session_cause
    (('new_device', 'session_start'), 'first')
    >>> result.sessions[0].status, result.states["d1"].newest_ms, result.watermark_ms
    ('open', 1772445600000, 1772445600000)
    >>> letter, _, payload = result.dead_letters[0]
    >>> letter.reason, letter.offset, letter.index, payload
    ('not_an_object', 17, 1, b'"no event"')
    """
    result = StepResult(watermark_ms, expiry)
    step = DeviceStep(rules, result)
    for record, value in zip(decoded.records, decoded.values, strict=True):
        # When the record came in, by Kafka; None when it has no usable timestamp.
        received_at = record.timestamp if record.timestamp >= OLDEST_TIMESTAMP_MS else None
        step.process(value.events, received_at, states)
        if value.rejections:
            result.dead_letters += _dead_letters(record, value.rejections, received_at)
    result.watermark_ms, result.expiry = step.watermark_ms, step.expiry
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
