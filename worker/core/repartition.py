"""Events of other partitions: what leaves for them, what arrived from them, which input is read first.

Knows records, events and a function that names a device's partition; nothing of topics or transactions.
Invariants: every event either stays or leaves, each device's in their order; what leaves are the sender's own
bytes, so that the other side decides what this one would have; refused events never leave, their dead letter
is written where they were found; what has arrived is never sent on again.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from msgspec import structs

from worker.core.partitioner import PartitionOf
from worker.core.pipeline import DecodedRecords
from worker.model.events import (
    GREATEST_RECORD_TIME_MS,
    LEAST_RECORD_TIME_MS,
    DecodedValue,
    Event,
    InputRecord,
)
from worker.model.repartition import ArrivedRecord, Headers, RecordWithHeaders, RepartitionedRecord

ElementsOf = Callable[[bytes], Sequence[bytes]]
"""The JSON texts of a value's elements, in order."""

_TOPIC, _PARTITION, _OFFSET = "origin-topic", "origin-partition", "origin-offset"
_TIMESTAMP, _INDEX = "origin-timestamp", "origin-index"
_OFFSET_LIMIT = 2**63

PIECE_MS = 1_000
"""Of two inputs the older is read until it is this much newer than the other."""


def misplaced_devices(device_ids: Iterable[str], partition: int, partition_of: PartitionOf) -> frozenset[str]:
    """The devices that belong to another partition than this one."""
    return frozenset([device_id for device_id in device_ids if partition_of(device_id) != partition])


def divide(
    decoded: DecodedRecords, misplaced: frozenset[str], partition_of: PartitionOf, elements_of: ElementsOf
) -> tuple[DecodedRecords, list[RepartitionedRecord]]:
    """What stays of the decoded records, and what is to be sent to other partitions.

    The devices in ``misplaced`` are not ours; a record from whose batch every event has left stays, empty.
    """
    stay: list[DecodedValue] = []
    leave: list[RepartitionedRecord] = []
    for record, value in zip(decoded.records, decoded.values, strict=True):
        if all(event.device_id not in misplaced for event in value.events):
            stay.append(value)
            continue
        stay.append(
            DecodedValue(
                [event for event in value.events if event.device_id not in misplaced], value.rejections
            )
        )
        leave += _leaving(record, value, misplaced, partition_of, elements_of)
    return DecodedRecords(decoded.records, stay, decoded.device_ids - misplaced), leave


def _leaving(
    record: InputRecord,
    value: DecodedValue,
    misplaced: frozenset[str],
    partition_of: PartitionOf,
    elements_of: ElementsOf,
) -> list[RepartitionedRecord]:
    """One repartitioned record for each partition that events of this one belong to."""
    assert record.value is not None, "a value without events"
    by_partition: dict[int, list[tuple[int, Event]]] = {}
    rejected = {rejection.index for rejection in value.rejections}
    indexes = (index for index in range(len(value.events) + len(rejected)) if index not in rejected)
    for index, event in zip(indexes, value.events, strict=False):
        if event.device_id in misplaced:
            by_partition.setdefault(partition_of(event.device_id), []).append((index, event))

    headers = _headers_of(record)
    if len(by_partition) == 1 and not rejected:
        ((partition, events),) = by_partition.items()
        if len(events) == len(value.events):  # all of it goes the same way: as it is
            key = events[0][1].device_id.encode()
            return [RepartitionedRecord(partition, key, record.value, headers, len(events))]
    elements = elements_of(record.value)
    return [
        RepartitionedRecord(
            partition,
            events[0][1].device_id.encode(),
            b"[" + b",".join([elements[index] for index, _ in events]) + b"]",
            [*headers, (_INDEX, b",".join([b"%d" % index for index, _ in events]))],
            len(events),
        )
        for partition, events in by_partition.items()
    ]


def _headers_of(record: InputRecord) -> Headers:
    return [
        (_TOPIC, record.topic.encode()),
        (_PARTITION, b"%d" % record.partition),
        (_OFFSET, b"%d" % record.offset),
        (_TIMESTAMP, b"%d" % record.timestamp),
    ]


def origin_timestamps_ms(records: Iterable[InputRecord]) -> list[int]:
    """When records of the repartition topic were first received; where they do not say, their own times."""
    return [_origin_timestamp_ms(record) for record in cast("Iterable[RecordWithHeaders]", records)]


def _origin_timestamp_ms(record: RecordWithHeaders) -> int:
    for name, value in record.headers:
        if name == _TIMESTAMP and _is_record_time(value):
            return int(value)
    return record.timestamp


def arrived(record: RecordWithHeaders) -> InputRecord:
    """The record as if it had come from where it was first received.

    One that somebody else put into the topic has no such headers and is returned as it is.
    """
    headers = {name: value or b"" for name, value in record.headers}  # Kafka allows null
    timestamp = headers.get(_TIMESTAMP, b"")
    index = headers.get(_INDEX)
    try:
        topic = headers.get(_TOPIC, b"").decode()
    except UnicodeDecodeError:
        return record
    if (
        not topic
        or not _is_number(headers.get(_PARTITION), _OFFSET_LIMIT)
        or not _is_number(headers.get(_OFFSET), _OFFSET_LIMIT)
        or not _is_record_time(timestamp)
        or not (index is None or all(_is_number(place, _OFFSET_LIMIT) for place in index.split(b",")))
    ):
        return record
    return ArrivedRecord(
        topic=topic,
        partition=int(headers[_PARTITION]),
        offset=int(headers[_OFFSET]),
        timestamp=int(timestamp),
        key=record.key,
        value=record.value,
        indexes=None if index is None else [int(place) for place in index.split(b",")],
    )


def _is_record_time(text: bytes | None) -> bool:
    """Whether it is a time that a raw record may have, whatever Kafka's clients wrote there."""
    if text is None or not _is_number(text.removeprefix(b"-"), -LEAST_RECORD_TIME_MS + 1):
        return False
    return LEAST_RECORD_TIME_MS <= int(text) <= GREATEST_RECORD_TIME_MS


def _is_number(text: bytes | None, limit: int) -> bool:
    """Whether it is a number in digits, below the limit."""
    return text is not None and len(text) < 20 and text.isdigit() and int(text) < limit


def with_origin_indexes(decoded: DecodedRecords) -> DecodedRecords:
    """The same, with the places of refused events as they were in the raw record's batch."""
    if not any(value.rejections for value in decoded.values):
        return decoded
    values = [
        _at_origin(record, value) for record, value in zip(decoded.records, decoded.values, strict=True)
    ]
    return DecodedRecords(decoded.records, values, decoded.device_ids)


def _at_origin(record: InputRecord, value: DecodedValue) -> DecodedValue:
    indexes = record.indexes if isinstance(record, ArrivedRecord) else None
    if indexes is None or not value.rejections:
        return value
    rejections = [
        rejection
        if rejection.index is None or rejection.index >= len(indexes)
        else structs.replace(rejection, index=indexes[rejection.index])
        for rejection in value.rejections
    ]
    return DecodedValue(value.events, rejections)


def oldest_piece(waiting: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Which input is read next, and how many of its waiting records.

    ``waiting``: for each input the times (ms) at which its waiting records were received, in order; at least
    one is not empty. The oldest record comes first. The piece ends before the first record that is more than
    a second newer than the first one of another input; it has at least one record. So the events of a device
    that come by two inputs are processed in the order in which they were received, to about a second, also
    where the task is far behind.

    >>> oldest_piece([[5_000, 5_100], [3_000, 4_000, 9_000]])
    (1, 2)
    """
    first_ms, index = min((times_ms[0], index) for index, times_ms in enumerate(waiting) if times_ms)
    others_ms = [times_ms[0] for other, times_ms in enumerate(waiting) if times_ms and other != index]
    # Times of records are any 64-bit integers: the sum is bounded as they are.
    last_ms = min(min(others_ms, default=first_ms) + PIECE_MS, GREATEST_RECORD_TIME_MS)
    times_ms = waiting[index]
    if not others_ms:
        return index, len(times_ms)
    return index, next((count for count, time in enumerate(times_ms) if time > last_ms), len(times_ms))
