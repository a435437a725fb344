"""Invented but believable traffic of one shop, as raw records in order of arrival.

It decides how many visitors come and which events are broken; it does not know Kafka, the worker or what a
session is. The same count, seed and ``now_ms`` give the same records, byte for byte, and exactly the stated
number of events: every element of every batch is one, and so is a value that cannot be read at all.
"""

from collections.abc import Sequence
from random import Random

import msgspec
from msgspec import Struct

from worker.demo.broken import BREAKAGES, BROKEN_VALUE
from worker.demo.device import Batch, Device
from worker.demo.personas import CAST, WEIGHTS

BROKEN_SHARE = 0.005
SMALLEST_WITH_BROKEN_VALUE = 100


class RawRecord(Struct, frozen=True):
    """One record for the raw topic. ``timestamp_ms`` is when the batch arrived; never after now."""

    key: bytes | None
    value: bytes
    timestamp_ms: int


class Traffic(Struct, frozen=True):
    """Records in order of arrival, and how many events they hold: each must meet exactly one fate."""

    records: Sequence[RawRecord]
    event_count: int


def make_traffic(events: int, *, seed: int, now_ms: int) -> Traffic:
    """Invent exactly ``events`` events (at least 1) of the two days before ``now_ms``, in order of arrival.

    About one event in 200 is broken, and from 100 events on one whole value is an error page
    that some proxy posted.
    """
    rng = Random(seed)  # noqa: S311 - the point is to repeat it
    with_broken_value = events >= SMALLEST_WITH_BROKEN_VALUE
    wanted = events - with_broken_value
    batches: list[Batch] = []
    count = visitors = 0
    while count < wanted:
        # One of each kind first, so that a small demo shows all of them; then by weight.
        persona = CAST[visitors] if visitors < len(CAST) else rng.choices(CAST, WEIGHTS)[0]
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
    """Spoil about one event in 200, each kind of breakage in turn."""
    broken = 0
    for batch in batches:
        for index, event in enumerate(batch.events):
            if rng.random() < BROKEN_SHARE:
                batch.events[index] = BREAKAGES[broken % len(BREAKAGES)](event)
                broken += 1
