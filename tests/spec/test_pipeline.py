"""From raw records to what is sent: time, flags, outcomes, order (docs/input.md, Time; docs/outputs.md)."""

from copy import deepcopy

import pytest

from tests.builders import Record, click, ms, record
from tests.core_step import enriched, step
from worker.model.outputs import EnrichedEvent
from worker.model.rules import SessionRules

# --- Time: a device's clock is held at what can be ---


def test_an_event_exactly_max_future_ahead_of_its_arrival_is_believed() -> None:
    (event,) = enriched(record(0, click("d1", at="10:05:00.000"), received_at="10:00:00"))
    assert event.session_start == ms("10:05:00.000")
    assert "clock_skew" not in event.flags


def test_one_millisecond_more_is_held_and_flagged() -> None:
    (event,) = enriched(record(0, click("d1", at="10:05:00.001"), received_at="10:00:00"))
    assert event.session_start == ms("10:05:00.000")
    assert "clock_skew" in event.flags


def test_the_event_time_goes_out_as_it_came_in_also_when_held() -> None:
    (event,) = enriched(record(0, click("d1", at="87600:00:00"), received_at="10:00:00"))
    assert event.timestamp == ms("87600:00:00")


def test_a_clock_that_is_too_slow_is_never_held() -> None:
    (event,) = enriched(record(0, click("d1", at="10:00:00"), received_at="20:00:00"))
    assert event.session_start == ms("10:00:00")
    assert "clock_skew" not in event.flags


def test_a_held_clock_flattens_a_batch_into_one_session() -> None:
    """Hours apart by the device's clock, but all of them sent by now: they are one visit."""
    batch = [click("d1", at=f"{hour}:00:00") for hour in (20, 21, 22)]
    events = enriched(record(0, batch, received_at="10:00:00"))
    assert {event.session_start for event in events} == {ms("10:05:00")}
    assert [event.event_number for event in events] == [1, 2, 3]
    assert all("out_of_order" not in event.flags for event in events)


def test_a_device_years_ahead_goes_on_as_soon_as_its_clock_is_right() -> None:
    ahead, right = enriched(
        record(0, click("d1", at="87600:00:00"), received_at="10:00:00"),
        record(1, click("d1", at="10:01:00"), received_at="10:01:00"),
    )
    assert right.session_id == ahead.session_id


def test_without_a_time_of_arrival_every_clock_is_believed() -> None:
    (event,) = enriched(record(0, click("d1", at="87600:00:00"), received_at=-1))
    assert event.session_start == ms("87600:00:00")
    assert event.received_at is None
    assert "clock_skew" not in event.flags


@pytest.mark.parametrize("max_future_ms", [0, 300_000, 2**31 - 1])
@pytest.mark.parametrize("received_at", [10**14 - 1, 10**14, 2**63 - 2**31, 2**63 - 1])
def test_a_record_of_the_far_future_holds_no_event_and_moves_no_clock_beyond_it(
    received_at: int, max_future_ms: int
) -> None:
    """Where integers have 64 bits, its time plus what is believed must not begin again below 0."""
    newest = 10**14 - 1
    event = click("d1", at=newest)
    result = step(record(0, event, received_at=received_at), rules=SessionRules(max_future_ms=max_future_ms))
    assert (result.watermark_ms, result.expiry.at_ms, result.states["d1"].newest_ms) == (newest,) * 3
    assert result.enriched[0].received_at == received_at
    assert "clock_skew" not in result.enriched[0].flags


@pytest.mark.parametrize(("record_time", "received_at"), [(99_999_999_999, None), (10**11, 10**11)])
def test_a_record_time_that_is_no_time_in_milliseconds_counts_as_none(
    record_time: int, received_at: int | None
) -> None:
    (event,) = enriched(record(0, click("d1"), received_at=record_time))
    assert event.received_at == received_at


def test_how_far_ahead_a_clock_may_be_is_an_option() -> None:
    ahead = record(0, click("d1", at="10:00:01"), received_at="10:00:00")
    (event,) = enriched(ahead, rules=SessionRules(max_future_ms=0))
    assert event.session_start == ms("10:00:00")


# --- Time: the watermark ---


def test_the_watermark_is_the_greatest_time_seen() -> None:
    result = step(click("d1", at="10:00:00"), click("d2", at="11:00:00"), click("d1", at="10:30:00"))
    assert result.watermark_ms == ms("11:00:00")


def test_the_watermark_takes_the_held_time() -> None:
    ahead = record(0, click("d1", at="87600:00:00"), received_at="10:00:00")
    assert step(ahead).watermark_ms == ms("10:05:00")


def test_the_watermark_ignores_records_without_a_time_of_arrival() -> None:
    """Nothing holds their clocks, so one broken device could close everybody's sessions."""
    unheld = record(0, click("d1", at="87600:00:00"), received_at=-1)
    assert step(unheld, watermark_ms=ms("09:00:00")).watermark_ms == ms("09:00:00")


def test_the_watermark_never_goes_back() -> None:
    assert step(click("d1", at="10:00:00"), watermark_ms=ms("12:00:00")).watermark_ms == ms("12:00:00")


# --- Flags ---


def test_the_first_event_of_a_device_is_flagged_and_no_other() -> None:
    events = enriched(click("d1"), click("d1"), click("d2"), click("d1", at="20:00:00"))
    assert ["new_device" in event.flags for event in events] == [True, False, True, False]


def test_the_event_that_opens_a_session_is_flagged() -> None:
    events = enriched(click("d1", at="10:00:00"), click("d1", at="10:01:00"), click("d1", at="11:00:00"))
    assert ["session_start" in event.flags for event in events] == [True, False, True]


def test_an_event_older_than_the_devices_newest_is_out_of_order_an_equally_old_one_is_not() -> None:
    newest = click("d1", at="10:00:00.000")
    assert last(newest, click("d1", at="10:00:00.000")).flags == ()
    assert last(newest, click("d1", at="09:59:59.999")).flags == ("out_of_order",)


def test_an_event_is_late_beyond_gap_and_grace() -> None:
    newest = click("d1", at="10:35:00.000")
    assert "late" not in last(newest, click("d1", at="10:00:00.000")).flags
    assert last(newest, click("d1", at="09:59:59.999")).flags == ("session_start", "out_of_order", "late")


def test_a_late_event_may_join_a_session_that_is_still_remembered() -> None:
    event = last(click("d1", at="10:00:00"), click("d1", at="12:00:00"), click("d1", at="10:01:00"))
    assert event.flags == ("out_of_order", "late")
    assert event.session_number == 1


def test_flags_come_in_one_order() -> None:
    ahead = record(0, click("d1", at="20:00:00", user="ann"), received_at="10:00:00")
    assert last(ahead).flags == ("new_device", "session_start", "linked", "clock_skew")


# --- Outcomes and order ---


def test_bad_events_go_to_the_dead_letters_and_the_others_of_their_batch_go_on() -> None:
    result = step(record(7, [click("d1", id="a"), {"id": "bad"}, click("d1", id="b")]))
    assert [event.id for event in result.enriched] == ["a", "b"]
    ((letter, raw, payload),) = result.dead_letters
    assert (letter.reason, letter.topic, letter.partition, letter.offset, letter.index) == (
        "missing_field",
        "events.raw",
        0,
        7,
        1,
    )
    assert raw.offset == 7
    assert payload == b'{"id":"bad"}'


def test_a_value_that_is_no_batch_goes_there_whole() -> None:
    result = step(record(3, b"hello", received_at="10:00:00"))
    ((letter, _, payload),) = result.dead_letters
    assert (letter.offset, letter.index, letter.received_at) == (3, None, ms("10:00:00"))
    assert payload == b"hello"
    assert not result.enriched
    assert not result.states


def test_an_empty_batch_has_no_outputs() -> None:
    result = step(record(0, []))
    assert not result.enriched
    assert not result.dead_letters
    assert not result.states


def test_outputs_are_in_order_of_arrival_whatever_the_event_times() -> None:
    batch = [click("d1", at="10:30:00", id="1"), click("d2", at="09:00:00", id="2"), click("d1", id="3")]
    events = enriched(record(0, batch), record(1, [click("d1", at="08:00:00", id="4")]))
    assert [event.id for event in events] == ["1", "2", "3", "4"]


def test_one_batch_may_hold_events_of_several_devices() -> None:
    batch = [click("d1", at="10:00:00"), click("d2", at="10:00:01"), click("d1", at="10:00:02")]
    events = enriched(record(0, batch))
    assert [(event.device_id, event.event_number) for event in events] == [("d1", 1), ("d2", 1), ("d1", 2)]


def test_the_same_batch_sent_twice_counts_twice_but_opens_nothing() -> None:
    """The worker does not know a repetition from two clicks; a consumer compares the event ids."""
    batch = [click("d1", at="10:00:00"), click("d1", at="10:01:00")]
    events = enriched(record(0, batch), record(1, batch))
    assert [event.event_number for event in events] == [1, 2, 3, 4]
    assert len({event.session_id for event in events}) == 1


def test_a_step_counts_what_it_opened_and_linked() -> None:
    result = step(click("d1", user="ann"), click("d1", at="12:00:00", user="bob"), click("d2"))
    assert (result.sessions_opened, result.devices_linked) == (3, 2)


def test_the_states_given_are_not_changed() -> None:
    before = step(click("d1", user="ann"), click("d2")).states
    copied = deepcopy(before)
    after = step(click("d1", at="10:05:00", user="bob"), states=before).states
    assert before == copied
    assert after.keys() == {"d1"}
    assert after["d1"] != before["d1"]


def last(*raw: Record | dict[str, object]) -> EnrichedEvent:
    """The last of the enriched events."""
    return enriched(*raw)[-1]
