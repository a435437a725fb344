"""When a silent session closes, what is published of it, and when a device expires.

docs/sessions.md, Closing.
"""

from collections.abc import Mapping

import pytest

from tests.builders import RawEvent, click, ms
from tests.core_step import published
from worker.core.closing import TimerResult, arm, run_timers
from worker.model.outputs import EventName
from worker.model.rules import Rules, SessionRules
from worker.model.state import DeviceState

DAY_MS = 86_400_000
MONTH_MS = 32 * DAY_MS
OPEN_FOR_MS = 35 * 60_000  # the gap of 30 minutes and the grace of 5
RULES = Rules()
UNPUBLISHED = Rules(publish_sessions=False)


def after(*raw: RawEvent, rules: Rules = RULES) -> dict[str, DeviceState]:
    """The states that events leave."""
    return published(*raw, rules=rules).states


def at(instant_ms: int, states: Mapping[str, DeviceState], rules: Rules = RULES) -> TimerResult:
    """What the wall clock does where nothing is left to read."""
    return run_timers(states, 0, instant_ms, rules)


# --- sessions close ---


def test_a_session_is_open_up_to_gap_and_grace_after_its_end_and_closed_a_millisecond_later() -> None:
    states = after(click("d", "10:00:00"), click("d", "10:10:00"))
    due_ms = ms("10:10:00") + OPEN_FOR_MS

    still_open = at(due_ms, states)
    closed = at(due_ms + 1, states)

    assert (still_open.sessions, still_open.sessions_closed) == ([], 0)
    [session] = closed.sessions
    assert (session.status, session.close_reason, closed.sessions_closed) == ("closed", "inactivity", 1)


def test_a_closed_session_is_published_once() -> None:
    closed = at(ms("12:00:00"), after(click("d", "10:00:00")))

    again = at(ms("13:00:00"), closed.states)

    assert len(closed.sessions) == 1
    assert (again.sessions, again.sessions_closed) == ([], 0)


def test_closing_is_the_sessions_next_revision_and_says_all_of_it() -> None:
    opened = published(
        click("d", "10:00:00", id="a", type="home", user="ann", view="v1"),
        click("d", "10:10:00", id="b", type="cart", view="v2"),
    )

    [session] = at(ms("12:00:00"), opened.states).sessions

    assert (session.revision, [earlier.revision for earlier in opened.sessions]) == (2, [1])
    assert [earlier.status for earlier in opened.sessions] == ["open"]
    assert [earlier.close_reason for earlier in opened.sessions] == [None]
    assert (session.start, session.end, session.duration_ms) == (ms("10:00:00"), ms("10:10:00"), 600_000)
    assert (session.event_count, session.view_count, session.user_id) == (2, 2, "ann")
    assert (session.entry_event, session.exit_event) == (EventName("a", "home"), EventName("b", "cart"))
    assert (session.session_source, session.session_number, session.session_cause) == ("assigned", 1, "first")
    assert session.merged_into is None


def test_a_session_that_the_client_named_says_so() -> None:
    [session] = published(click("d", "10:00:00", session="s1")).sessions
    assert (session.session_id, session.session_source) == ("s1", "client")


def test_older_sessions_close_too_and_only_those_that_are_due() -> None:
    states = after(click("d", "10:00:00"), click("d", "10:20:00", session="s1"))

    first = at(ms("10:20:00") + OPEN_FOR_MS, states)
    second = at(ms("10:20:00") + OPEN_FOR_MS + 1, first.states)

    assert [session.session_number for session in first.sessions] == [1]
    assert [session.session_number for session in second.sessions] == [2]
    assert (first.sessions_closed, second.sessions_closed) == (1, 1)


def test_closing_an_older_session_writes_the_devices_cold_part_and_of_the_newest_it_does_not() -> None:
    states = after(click("d", "10:00:00"), click("d", "10:20:00", session="s1"))
    states["d"].cold_changed = False

    first = at(ms("10:20:00") + OPEN_FOR_MS, states).states
    first["d"].cold_changed, cold_changed = False, first["d"].cold_changed

    assert cold_changed
    assert not at(ms("12:00:00"), first).states["d"].cold_changed


def test_time_changes_no_state_that_was_given() -> None:
    states = after(click("d", "10:00:00"), click("d", "11:00:00"))
    before = after(click("d", "10:00:00"), click("d", "11:00:00"))

    at(ms("20:00:00"), states)
    run_timers(states, ms("10:00:00") + 500 * DAY_MS, 0, RULES)

    assert states == before


def test_a_session_that_its_own_event_ended_stays_as_it_ended() -> None:
    rules = Rules(session=SessionRules(event_types={"logout": "end"}))
    ended = published(click("d", "10:00:00"), click("d", "10:01:00", type="logout"), rules=rules)

    later = at(ms("12:00:00"), ended.states, rules)

    assert [(session.status, session.close_reason) for session in ended.sessions][-1] == (
        "closed",
        "end_event",
    )
    assert (ended.sessions_closed, later.sessions, later.sessions_closed) == (1, [], 0)


def test_a_closed_session_that_a_late_event_joins_is_open_again_and_closes_again() -> None:
    closed = at(ms("12:00:00"), after(click("d", "10:00:00")))

    joined = published(click("d", "10:20:00"), states=closed.states)
    again = at(ms("12:00:00"), joined.states)

    assert [(session.status, session.revision) for session in joined.sessions] == [("open", 3)]
    assert [(session.status, session.revision) for session in again.sessions] == [("closed", 4)]


def test_where_sessions_are_not_published_none_closes() -> None:
    states = after(click("d", "10:00:00"), rules=UNPUBLISHED)

    result = at(ms("20:00:00"), states, UNPUBLISHED)

    assert (result.sessions, result.sessions_closed, result.states["d"].close_at_ms) == ([], 0, 0)
    assert result.states["d"].current is not None
    assert result.states["d"].current.closed is None


def test_what_a_device_published_does_not_come_again_with_the_next_devices() -> None:
    states = after(click("d1", "10:00:00"), click("d1", "11:00:00"), click("d2", "11:00:00"))

    for result in (at(ms("20:00:00"), states), run_timers(states, 2**53, 0, RULES)):
        assert [(one.device_id, one.session_number) for one in result.sessions] == [
            ("d1", 1),
            ("d1", 2),
            ("d2", 1),
        ]
        assert result.sessions_closed == 3


def test_a_device_without_sessions_has_none_to_close() -> None:
    rules = Rules(session=SessionRules(event_types={"ping": "passive"}))
    states = after(click("d", "10:00:00", type="ping"), rules=rules)

    assert at(ms("20:00:00"), states, rules).sessions == []
    assert run_timers(states, 2**53, 0, rules).sessions == []


# --- timers ---


def test_the_timer_is_set_for_the_first_session_that_is_due_and_moves_only_forward_when_it_fires() -> None:
    states = after(click("d", "10:00:00"), click("d", "10:10:00"))
    too_early_ms = ms("10:00:00") + OPEN_FOR_MS
    assert states["d"].close_at_ms == too_early_ms

    looked = at(too_early_ms + 1, states)

    assert (looked.sessions, looked.states["d"].close_at_ms) == ([], ms("10:10:00") + OPEN_FOR_MS)
    assert at(ms("20:00:00"), looked.states).states["d"].close_at_ms == 0


def test_of_two_open_sessions_the_timer_is_for_the_one_that_is_due_first() -> None:
    states = after(click("d", "10:20:00"), click("d", "09:50:00", session="s1"))
    assert states["d"].close_at_ms == ms("09:50:00") + OPEN_FOR_MS
    assert at(0, states).states["d"].close_at_ms == ms("09:50:00") + OPEN_FOR_MS


@pytest.mark.parametrize(("armed_for", "expected"), [(0, 5), (3, 3), (5, 5), (8, 5)])
def test_a_timer_that_is_set_is_kept_unless_it_would_come_too_late(armed_for: int, expected: int) -> None:
    state = after(click("d", "10:00:00"))["d"]
    due_ms = ms("10:00:00") + OPEN_FOR_MS - 5
    state.close_at_ms = armed_for and due_ms + armed_for

    arm(state, RULES)

    assert state.close_at_ms == due_ms + expected


def test_without_published_sessions_a_device_has_one_timer_only() -> None:
    state = after(click("d", "10:00:00"), rules=UNPUBLISHED)["d"]
    assert (state.close_at_ms, state.expire_at_ms) == (
        0,
        ms("10:00:00") + RULES.retention_ms + MONTH_MS,
    )


def test_the_timer_of_expiry_is_left_where_it_is_until_it_fires() -> None:
    states = after(click("d", "10:00:00"), click("d", "16:00:00"))
    assert states["d"].expire_at_ms == ms("10:00:00") + RULES.retention_ms + MONTH_MS

    looked = run_timers(states, ms("10:00:00") + RULES.retention_ms + MONTH_MS + 1, 0, RULES).states

    assert looked["d"].expire_at_ms == ms("16:00:00") + RULES.retention_ms + MONTH_MS


# --- devices expire ---


def test_a_device_is_tidied_away_32_days_after_its_retention_has_ended_by_the_expiry_clock_alone() -> None:
    states = after(click("d", "10:00:00"))
    last_ms = ms("10:00:00") + RULES.retention_ms + MONTH_MS

    assert list(run_timers(states, last_ms, 2**53, RULES).states) == ["d"]
    gone = run_timers(states, last_ms + 1, 0, RULES)

    assert (gone.states, list(gone.expired)) == ({}, ["d"])
    assert gone.expired["d"] == states["d"]


def test_what_is_open_of_an_expired_device_closes() -> None:
    states = after(click("d", "10:00:00"), click("d", "10:20:00", session="s1"))

    gone = run_timers(states, 2**53, 0, RULES)

    assert [(one.session_number, one.status) for one in gone.sessions] == [(1, "closed"), (2, "closed")]
    assert gone.sessions_closed == 2


def test_what_was_closed_before_is_not_published_again_when_its_device_expires() -> None:
    closed = at(ms("12:00:00"), after(click("d", "10:00:00"))).states
    assert run_timers(closed, 2**53, 0, RULES).sessions == []


def test_an_expired_device_is_silent_where_sessions_are_not_published() -> None:
    gone = run_timers(after(click("d", "10:00:00"), rules=UNPUBLISHED), 2**53, 0, UNPUBLISHED)
    assert (gone.sessions, list(gone.expired)) == ([], ["d"])
