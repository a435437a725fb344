"""The benchmark's load: published figures are comparable only while it stays as it is."""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from itertools import islice
from typing import Any

import msgspec
import pytest

from testing.events import GAP_MS, Record, Shape, records

SIZES = [20, 1]


def events_of(load: Iterable[Record]) -> list[dict[str, Any]]:
    return [event for record in load for event in msgspec.json.decode(record.value)]


def digest(load: Iterable[Record]) -> str:
    total = sha256()
    for record in load:
        total.update(b"%d %b %b\n" % (record.timestamp, record.key, record.value))
    return total.hexdigest()[:16]


def a_twentieth(events_per_record: int) -> Shape:
    """As many events a device and an hour as in the published load, with a twentieth of the devices."""
    pace = Shape(events_per_record=events_per_record).pace()
    return Shape(
        events=100_000,
        devices=2_500,
        events_per_record=events_per_record,
        events_per_second=pace / 20,
    )


@pytest.mark.parametrize(
    ("events_per_record", "expected"), [(20, "e4fa1b5fa5d8bacc"), (1, "2d7edfbfb896ca81")]
)
def test_the_load_is_the_one_that_published_figures_were_measured_with(
    events_per_record: int, expected: str
) -> None:
    assert digest(records(Shape(events=5_000, events_per_record=events_per_record))) == expected


def test_another_seed_is_another_load() -> None:
    assert digest(records(Shape(events=1_000))) != digest(records(Shape(events=1_000, seed=8)))


def test_a_longer_load_begins_with_the_shorter_one() -> None:
    shorter = list(records(Shape(events=1_000)))
    longer = list(records(Shape(events=2_000)))
    assert longer[: len(shorter)] == shorter


@pytest.mark.parametrize("events_per_record", SIZES)
def test_every_event_asked_for_is_made_once(events_per_record: int) -> None:
    load = list(records(Shape(events=1_010, events_per_record=events_per_record)))
    ids = [event["id"] for event in events_of(load)]
    assert len(ids) == len(set(ids)) == 1_010 == sum(record.events for record in load)


@pytest.mark.parametrize("events_per_record", SIZES)
def test_a_record_holds_events_of_the_device_that_is_its_key(events_per_record: int) -> None:
    for record in records(Shape(events=2_000, events_per_record=events_per_record)):
        assert {event["device_id"].encode() for event in events_of([record])} == {record.key}


@pytest.mark.parametrize("events_per_record", SIZES)
def test_the_mix_is_the_stated_one(events_per_record: int) -> None:
    load = list(records(a_twentieth(events_per_record)))
    events = events_of(load)
    assert sum(len(record.value) for record in load) / len(events) == pytest.approx(290, abs=5)
    assert all(len(event["data"]) == 6 for event in events)
    assert share(event.get("user_id") for event in events) == pytest.approx(0.05, abs=0.005)
    assert share(event.get("session_id") for event in events) == pytest.approx(0.10, abs=0.005)
    assert out_of_order(events) / len(events) == pytest.approx(0.02, abs=0.003)
    assert sessions_opened(events) / len(events) == pytest.approx(0.08, abs=0.02)


def test_activity_is_zipf_like() -> None:
    devices = Counter(
        event["device_id"] for event in events_of(records(Shape(events=50_000, events_per_record=1)))
    )
    busiest = sum(count for _, count in devices.most_common(500))
    assert 0.30 < busiest / 50_000 < 0.45, "one per cent of the devices sends more than a third of the events"
    assert len(devices) > 15_000


@pytest.mark.parametrize("events_per_record", SIZES)
def test_no_event_happens_after_its_record_was_sent_and_records_are_sent_in_order(
    events_per_record: int,
) -> None:
    before = 0
    for record in records(Shape(events=5_000, events_per_record=events_per_record)):
        assert all(event["timestamp"] <= record.timestamp for event in events_of([record]))
        assert record.timestamp >= before
        before = record.timestamp


def test_the_extra_variant_adds_properties_that_no_rule_knows() -> None:
    event = events_of(records(Shape(events=1, extra=True)))[0]
    assert {"app_version", "consent"} <= event.keys()


def share(values: Iterable[object]) -> float:
    present = [bool(value) for value in values]
    return sum(present) / len(present)


def out_of_order(events: list[dict[str, Any]]) -> int:
    newest: dict[str, int] = {}
    count = 0
    for event in events:
        device, t = event["device_id"], event["timestamp"]
        count += t < newest.get(device, 0)
        newest[device] = max(t, newest.get(device, 0))
    return count


def sessions_opened(events: list[dict[str, Any]]) -> int:
    """By gap or by another client id: an estimate that needs none of the worker's rules."""
    ends: dict[str, int] = {}
    named: dict[str, str] = {}
    count = 0
    for event in events:
        device, t, session = event["device_id"], event["timestamp"], event.get("session_id")
        if session:
            count += session != named.get(device)
            named[device] = session
        else:
            count += t - ends.get(device, 0) > GAP_MS
        ends[device] = max(t, ends.get(device, 0))
    return count


@pytest.mark.parametrize("events_per_record", SIZES)
def test_a_load_of_known_devices_begins_with_an_event_of_each(events_per_record: int) -> None:
    shape = Shape(events=1_000, devices=500, events_per_record=events_per_record, known=True)
    load = records(shape)
    first = events_of(islice(load, 500))
    later = events_of(load)
    assert [event["device_id"] for event in first] == [f"dev-{device:08d}" for device in range(500)]
    assert max(event["timestamp"] for event in first) <= shape.start_ms
    assert len(later) == 1_000
    assert len({event["id"] for event in first + later}) == 1_500


def test_without_skew_all_devices_are_equally_active() -> None:
    even = {record.key for record in records(Shape(events=2_000, events_per_record=1, devices=500, skew=0.0))}
    skewed = {record.key for record in records(Shape(events=2_000, events_per_record=1, devices=500))}
    assert len(even) > 480 > len(skewed)
