"""Generates the traffic of one shop, as raw records in order of arrival.

Decides how many visitors come, and which events are broken and how. Knows nothing of Kafka, the worker or
sessions. The invariant: the same count, seed and ``now_ms`` give the same records, byte for byte, with
exactly the stated number of events: every element of a batch is one, and so is a value that cannot be read at
all.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

from worker.demo.device import Batch, Device
from worker.demo.personas import PERSONAS, WEIGHTS

BROKEN_SHARE = 0.005
SMALLEST_WITH_BROKEN_VALUE = 100

Defect = Callable[[dict[str, Any]], object]
"""Makes a broken event from a good one, as real instrumentation does."""

BROKEN_VALUE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
"""A proxy's error page in place of a batch: it holds no event."""


def _without(field: str) -> Defect:
    return lambda event: {name: value for name, value in event.items() if name != field}


def _with(**fields: object) -> Defect:
    return lambda event: {**event, **fields}


DEFECTS: tuple[Defect, ...] = (
    _without("device_id"),
    lambda event: {**event, "timestamp": event["timestamp"] // 1000},  # seconds, not ms
    _with(device_id="undefined"),
    _with(timestamp="2024-06-01T10:30:00Z"),
    lambda event: {**event, "data": {**event["data"], "cart": {"items": ["p-101", "p-104"]}}},
    _with(type=""),
    lambda event: {**event, "data": {**event["data"], "_debug": True}},
    _with(event="PageViewed"),
    lambda event: f"[object Object] {event['type']}",  # an object that was concatenated with a string
    _with(session_id={"value": "s-1"}),
)
"""Each ends in a dead letter of another reason."""


class RawRecord(Struct, frozen=True):
    """One record for the raw topic. ``timestamp_ms`` is when the batch arrived, never later than now."""

    key: bytes | None
    value: bytes
    timestamp_ms: int


class Traffic(Struct, frozen=True):
    """Records in order of arrival, and the number of their events: each must have exactly one outcome."""

    records: Sequence[RawRecord]
    event_count: int


def make_traffic(events: int, *, seed: int, now_ms: int) -> Traffic:
    """Generate exactly ``events`` events (at least 1) of the two days before ``now_ms``.

    About one event in 200 is broken. From 100 events on one whole value is a proxy's error page.
    """
    rng = Random(seed)  # noqa: S311 - the point is to repeat it
    with_broken_value = events >= SMALLEST_WITH_BROKEN_VALUE
    wanted = events - with_broken_value
    batches: list[Batch] = []
    count = visitors = 0
    while count < wanted:
        # One of each kind first, so that a small demo shows all of them; then by weight.
        first = visitors < len(PERSONAS)
        persona = PERSONAS[visitors] if first else rng.choices(PERSONAS, WEIGHTS)[0]
        visitors += 1
        device = Device(rng, now_ms)
        persona(device)
        for batch in device.batches:
            del batch.events[wanted - count :]
            count += len(batch.events)
            if batch.events:
                batches.append(batch)
    batches.sort(key=lambda batch: batch.arrived_ms)
    _break_some(batches, rng)
    records = [
        RawRecord(batch.device_id.encode(), msgspec.json.encode(batch.events), batch.arrived_ms)
        for batch in batches
    ]
    if with_broken_value:
        place = len(records) // 3
        records.insert(place, RawRecord(records[place].key, BROKEN_VALUE, records[place].timestamp_ms))
    return Traffic(records, count + with_broken_value)


def _break_some(batches: Sequence[Batch], rng: Random) -> None:
    """Break about one event in 200, with each defect in turn."""
    broken = 0
    for batch in batches:
        for index, event in enumerate(batch.events):
            if rng.random() < BROKEN_SHARE:
                batch.events[index] = DEFECTS[broken % len(DEFECTS)](event)
                broken += 1
