"""The demo's traffic: the same for the same seed, of exactly the stated size, with all there is to show."""

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from tests.builders import ms
from worker.core.decode import Decoder
from worker.demo.traffic import BROKEN_VALUE, Traffic, make_traffic
from worker.model.rules import IdentityRules, InputRules

NOW_MS = ms("18:00:00")
GAP_MS = 30 * 60_000


def traffic(events: int = 3_000, *, seed: int = 1) -> Traffic:
    return make_traffic(events, seed=seed, now_ms=NOW_MS)


def elements(made: Traffic) -> list[Any]:
    values = [record.value for record in made.records if record.value != BROKEN_VALUE]
    return [element for value in values for element in json.loads(value)]


def test_same_seed_and_time_give_the_same_bytes() -> None:
    assert traffic(seed=7) == traffic(seed=7)


def test_another_seed_gives_other_visitors() -> None:
    assert {record.key for record in traffic(seed=7).records}.isdisjoint(
        record.key for record in traffic(seed=8).records
    )


@pytest.mark.parametrize("events", [1, 2, 99, 100, 101, 3_000])
def test_holds_exactly_the_stated_number_of_events(events: int) -> None:
    made = traffic(events)
    broken_values = sum(record.value == BROKEN_VALUE for record in made.records)
    assert made.event_count == events == len(elements(made)) + broken_values


def test_arrives_in_order_and_nothing_after_now() -> None:
    times = [record.timestamp_ms for record in traffic().records]
    assert times == sorted(times)
    assert times[-1] <= NOW_MS
    assert times[0] > NOW_MS - 48 * 3_600_000


def test_every_kind_of_breakage_meets_a_reason_of_its_own_kind() -> None:
    decoder = Decoder(InputRules(), IdentityRules())
    reasons: Counter[str] = Counter()
    for record in traffic().records:
        reasons.update(rejection.reason for rejection in decoder.decode(record.value).rejections)
    assert set(reasons) == {
        "missing_field",
        "timestamp_out_of_range",
        "blocked_device_id",
        "wrong_type",
        "data_nested",
        "empty_field",
        "data_reserved_name",
        "conflicting_alias",
        "not_an_object",
        "malformed_json",
    }
    assert 5 <= reasons.total() <= 30  # about one in 200


def test_a_broken_event_costs_its_batch_nothing_else() -> None:
    decoder = Decoder(InputRules(), IdentityRules())
    decoded = [decoder.decode(record.value) for record in traffic().records]
    assert sum(len(value.events) + len(value.rejections) for value in decoded) == 3_000


def good_events_by_device(made: Traffic) -> dict[str, list[dict[str, Any]]]:
    """In order of arrival."""
    devices: dict[str, list[dict[str, Any]]] = {}
    for event in elements(made):
        if isinstance(event, dict) and isinstance(event.get("timestamp"), int) and "device_id" in event:
            devices.setdefault(str(event["device_id"]), []).append(event)
    return devices


def test_shows_what_the_worker_is_for() -> None:
    devices = list(good_events_by_device(traffic()).values())
    logins = [[event["user_id"] for event in events if event["type"] == "login"] for events in devices]
    times = [[event["timestamp"] for event in events] for events in devices]
    pauses = [later - earlier for device in times for earlier, later in pairwise(sorted(device))]

    assert any(len(set(users)) == 2 for users in logins), "a device that two people share"
    assert any(
        users and events[0]["type"] != "login" for users, events in zip(logins, devices, strict=True)
    ), "a device that was used before anybody logged in"
    assert any(device != sorted(device) for device in times), "events out of order"
    assert any(pause > GAP_MS for pause in pauses), "a visitor who comes back after the gap"
    assert any("session_id" in event for events in devices for event in events), "a client's own session"
