"""Which sessions of a device are remembered (docs/sessions.md, Memory)."""

from copy import deepcopy

import pytest

from tests.builders import RawEvent, click
from tests.core_step import enriched, remembered, step
from worker.core.state_codec import decode_state, encode_cold, encode_hot
from worker.model.rules import SessionRules


def test_the_newest_session_and_the_three_most_recently_touched_are_remembered() -> None:
    hours = [click("d1", at=f"{hour}:00:00") for hour in ("10", "11", "12", "13", "14")]
    assert [session.number for session in remembered(*hours)] == [2, 3, 4, 5]
    touched_again = click("d1", at="10:01:00")
    assert [s.number for s in remembered(*hours[:4], touched_again, hours[4])] == [1, 3, 4, 5]


def test_an_evicted_session_is_not_joined_again() -> None:
    hours = [click("d1", at=f"{hour}:00:00") for hour in ("10", "11", "12", "13", "14")]
    *_, late = enriched(*hours, click("d1", at="10:01:00"))
    assert (late.session_number, late.event_number, late.session_cause) == (6, 1, "late")


def test_old_events_of_an_offline_device_form_their_own_session_and_do_not_push_out_the_living_one() -> None:
    living = click("d1", at="23:00:00")
    offline = [click("d1", at=f"{hour:02}:{minute}:00") for hour in range(8) for minute in (10, 20)]
    *old, back = enriched(living, *offline, click("d1", at="23:01:00"))
    assert [event.session_number for event in old[1:]] == [number for number in range(2, 10) for _ in "ab"]
    assert (back.session_number, back.event_number) == (1, 2)


def test_how_many_sessions_are_remembered_is_an_option() -> None:
    hours = [click("d1", at=f"{hour}:00:00") for hour in ("10", "11", "12", "13")]
    assert len(remembered(*hours, rules=SessionRules(remembered=2))) == 2
    assert len(remembered(*hours, rules=SessionRules(remembered=5))) == 4


def test_of_sessions_that_end_together_the_newest_is_the_one_that_starts_later() -> None:
    a = [click("d1", at="10:00:00", session="a"), click("d1", at="10:10:00", session="a")]
    b = [click("d1", at="10:05:00", session="b"), click("d1", at="10:10:00", session="b")]
    for visit in ([*a, *b], [*b, *a]):
        state = step(*visit).states["d1"]
        assert state.current is not None
        assert state.current.id == "b"


def test_a_session_that_becomes_the_newest_without_being_joined_is_not_changed_in_place() -> None:
    """Equal ends: when the start of "b" moves back, "a" becomes the newest, and is then joined."""
    committed = step(
        click("d1", at="10:00:00", session="a"),
        click("d1", at="10:05:00", session="b"),
        click("d1", at="10:10:00", session="a"),
        click("d1", at="10:10:00", session="b"),
    ).states
    copied = deepcopy(committed)
    step(click("d1", at="09:50:00", session="b"), click("d1", at="10:10:00"), states=committed)
    assert committed == copied


def test_a_session_that_closes_and_becomes_the_newest_at_once_counts_what_was_published() -> None:
    """A launch closes "a"; the session that it opens takes in the newest one, and so begins before "a"."""
    rules = SessionRules(event_types={"launch": "start"})
    states = step(
        click("d1", at="10:49:00"),
        click("d1", at="10:50:00"),
        click("d1", at="10:47:00", session="a"),
        click("d1", at="10:50:00", session="a"),
        rules=rules,
    ).states
    result = step(click("d1", at="10:45:00", type="launch"), states=states, rules=rules)
    current, closed = result.states["d1"].current, result.sessions[0]
    assert current is not None
    assert (current.id, current.closed) == (closed.session_id, closed.close_reason) == ("a", "superseded")
    assert current.revision == closed.revision


def test_a_merge_into_the_newest_session_is_written_whole() -> None:
    """Two sessions that another user kept apart merge when the option is off; the newest keeps its number."""
    apart = SessionRules(split_on_user_change=True)
    states = step(
        click("d1", at="10:00:00", user="ann"),
        click("d1", at="10:20:00", user="ann"),
        click("d1", at="10:10:00", user="bob"),
        rules=apart,
    ).states
    states["d1"].cold_changed = False
    assert len(states["d1"].older) == 1
    state = step(click("d1", at="10:21:00"), click("d1", at="10:20:30"), states=states).states["d1"]
    assert (state.older, state.cold_changed) == ((), True)
    assert decode_state(encode_hot(state), encode_cold(state)).older == ()


@pytest.mark.parametrize(
    ("event", "written"),
    [
        pytest.param(click("d1", at="12:10:00"), False, id="the next of the newest session"),
        pytest.param(click("d1", at="12:03:00"), False, id="a late one inside it"),
        pytest.param(click("d1", at="12:04:00", type="ping"), False, id="a passive one"),
        pytest.param(click("d1", at="12:06:00", type="checkout"), False, id="its end"),
        pytest.param(click("d1", at="11:59:00"), True, id="one that moves its start"),
        pytest.param(click("d1", at="10:01:00"), True, id="one of an older session"),
        pytest.param(click("d1", at="10:01:00", type="ping"), True, id="a passive one of an older session"),
    ],
)
def test_only_an_event_that_changes_more_than_the_newest_session_has_all_of_the_memory_written(
    event: RawEvent, written: bool
) -> None:
    rules = SessionRules(event_types={"ping": "passive", "checkout": "end"})
    visit = [click("d1", at=at) for at in ("10:00:00", "12:00:00", "12:05:00")]
    states = step(*visit, rules=rules).states
    states["d1"].cold_changed = False
    assert step(event, states=states, rules=rules).states["d1"].cold_changed == written
