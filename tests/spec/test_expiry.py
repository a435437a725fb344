"""A silent device expires by its own next event, or by its partition's expiry clock.

No record moves that clock alone (docs/sessions.md, Expiry).
"""

from collections.abc import Iterable

import pytest

from tests.builders import Record, click, ms, record
from tests.core_step import step
from worker.core.expiry import EXPIRY_DELAY_MS, advanced, expires_after_ms, is_expired
from worker.model.outputs import EnrichedEvent
from worker.model.rules import Rules
from worker.model.state import DeviceState, ExpiryClock

RULES = Rules(expiry_records=4)
DAY_MS = 86_400_000
STEP_MS = expires_after_ms(RULES) // 4
NOW_MS = ms("10:00:00")
FAR_MS = NOW_MS + 730 * DAY_MS
STEADY = ExpiryClock(NOW_MS, 4)


def test_a_device_is_new_again_by_its_own_time_or_by_the_expiry_clock() -> None:
    state = step(click("d", "10:00:00")).states["d"]
    newest_ms, retention_ms = state.newest_ms, RULES.retention_ms
    last_ms = newest_ms + retention_ms + EXPIRY_DELAY_MS

    assert not is_expired(state.newest_ms, newest_ms + retention_ms, 0, RULES)
    assert is_expired(state.newest_ms, newest_ms + retention_ms + 1, 0, RULES)
    assert not is_expired(state.newest_ms, newest_ms, last_ms, RULES)
    assert is_expired(state.newest_ms, newest_ms, last_ms + 1, RULES)


def test_the_clock_of_the_first_records_is_the_least_time_seen() -> None:
    assert after([FAR_MS, NOW_MS, FAR_MS, NOW_MS + 1]) == STEADY


def test_the_clock_moves_when_as_many_records_were_later_and_then_a_step_at_a_time() -> None:
    assert after([FAR_MS] * 4, STEADY) == ExpiryClock(NOW_MS, 8)
    assert after([FAR_MS] * 5, STEADY) == ExpiryClock(NOW_MS + STEP_MS, 8)
    assert after([FAR_MS] * 7, STEADY) == ExpiryClock(NOW_MS + 3 * STEP_MS, 8)
    assert after([FAR_MS] * 100, STEADY) == ExpiryClock(FAR_MS, 4)


def test_a_record_that_is_not_later_takes_a_later_one_back_and_never_the_clock() -> None:
    assert after([FAR_MS, NOW_MS] * 100, STEADY) == STEADY
    assert after([NOW_MS - DAY_MS] * 100, ExpiryClock(FAR_MS, 8)) == ExpiryClock(FAR_MS, 4)


def test_the_clock_of_records_in_order_is_the_newest_one() -> None:
    times = range(NOW_MS, NOW_MS + 20 * DAY_MS, DAY_MS)
    assert after(times) == ExpiryClock(times[-1], 8)


def test_a_record_without_a_time_of_arrival_or_without_events_moves_no_clock() -> None:
    unknown = record(0, click("d", at="10:00:00"), received_at=-1)
    refused = record(1, b"no json", received_at="10:00:00")
    assert step(unknown, refused).expiry == ExpiryClock()


def test_a_batch_moves_the_clock_once_by_its_newest_event() -> None:
    batch = [click("d", NOW_MS), click("d", NOW_MS + 5), click("d", NOW_MS + 3)]
    assert step(record(0, batch, received_at=NOW_MS)).expiry == ExpiryClock(NOW_MS + 5, 1)


def test_an_event_within_the_gap_of_a_session_finds_an_expired_device_new() -> None:
    known = step(click("d", at="10:00:00")).states
    due_ms = ms("10:00:00") + Rules().retention_ms + EXPIRY_DELAY_MS
    for clock_ms, flags in ((due_ms, ()), (due_ms + 1, ("new_device", "session_start"))):
        clock = ExpiryClock(clock_ms, Rules().expiry_records)
        assert step(click("d", at="10:01:00"), states=known, expiry=clock).enriched[0].flags == flags


@pytest.mark.parametrize("place", range(7))
def test_one_record_from_the_future_changes_nothing_for_other_devices(place: int) -> None:
    visit = [
        record(n, click("a", NOW_MS + n * 300_000, id=f"a{n}", user="ann" if n == 0 else None))
        for n in range(6)
    ]
    ahead = record(9, click("x", FAR_MS), received_at=FAR_MS)

    _, with_it = one_by_one([*visit[:place], ahead, *visit[place:]])

    assert [event for event in with_it if event.device_id == "a"] == one_by_one(visit)[1]


def test_nor_does_it_where_it_is_the_first_that_bears_a_time() -> None:
    visit = [record(n, click("a", NOW_MS + n * 300_000, id=f"a{n}")) for n in range(6)]
    visit[0] = record(0, click("a", NOW_MS, id="a0"), received_at=-1)
    ahead = record(9, click("x", FAR_MS), received_at=FAR_MS)

    _, with_it = one_by_one([visit[0], ahead, *visit[1:]])

    assert [event for event in with_it if event.device_id == "a"] == one_by_one(visit)[1]


def test_one_record_from_the_future_does_so_at_any_distance_and_after_many_records() -> None:
    later_ms = NOW_MS + 2_000 * 60_000
    states, _ = one_by_one([record(n, click("a", NOW_MS + n * 60_000)) for n in range(2_000)])
    clock = ExpiryClock(later_ms, 2_000)
    limit_ms = 10**14 - 300_001
    ahead = record(0, click("x", limit_ms), received_at=limit_ms)

    result = step(ahead, record(1, click("a", later_ms)), states=states, expiry=clock)

    assert result.expiry.at_ms < later_ms + DAY_MS
    assert result.enriched[1].flags == ()


def after(times: Iterable[int], clock: ExpiryClock | None = None) -> ExpiryClock:
    """The clock after records at these times, by default from the first record on."""
    clock = clock or ExpiryClock()
    for t_ms in times:
        clock = advanced(clock, t_ms, RULES)
    return clock


def one_by_one(records: Iterable[Record]) -> tuple[dict[str, DeviceState], list[EnrichedEvent]]:
    """The states after the records, each in a call of its own, and the enriched events."""
    states: dict[str, DeviceState] = {}
    enriched: list[EnrichedEvent] = []
    clock, watermark_ms = ExpiryClock(), 0
    for each in records:
        result = step(each, states=states, watermark_ms=watermark_ms, expiry=clock)
        states |= result.states
        enriched += result.enriched
        clock, watermark_ms = result.expiry, result.watermark_ms
    return states, enriched


def test_records_from_the_future_have_to_be_more_than_the_others_to_use_up_the_delay() -> None:
    """Also of a clock that keeps up, which any later record moves."""
    rules = Rules()
    step_ms = expires_after_ms(rules) // rules.expiry_records
    keeps_up = ExpiryClock(NOW_MS, 2 * rules.expiry_records)
    clock = keeps_up
    for n in range(1_000):
        clock = advanced(clock, FAR_MS if n % 2 else NOW_MS, rules)
    assert clock.at_ms <= NOW_MS + step_ms
    for _ in range(EXPIRY_DELAY_MS // step_ms):
        clock = advanced(clock, FAR_MS, rules)
    assert clock.at_ms <= NOW_MS + EXPIRY_DELAY_MS + step_ms
