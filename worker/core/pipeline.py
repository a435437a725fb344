"""Takes raw records through every rule: decode, link, session; what comes out is ready to be encoded.

Knows records, states and rules. It must not know where states are kept, how outputs travel or what time it
is. Invariants: every element of every record ends in exactly one of ``enriched`` or ``dead_letters``; the
states given are never changed, new ones are returned; the result is the same however records are cut into
calls.
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
