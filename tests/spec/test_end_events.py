"""Events that end their session (docs/sessions.md, Event types)."""

from tests.builders import ms
from tests.core_step import step
from tests.typed_events import RULES, campaign, checkout, numbers, page, sessions

# --- end ---


def test_an_end_joins_its_session_and_ends_it() -> None:
    assert numbers(page("10:00:00"), checkout("10:01:00"), page("10:01:00.001")) == [1, 1, 2]
    ended, after = sessions(page("10:00:00"), checkout("10:01:00"), page("10:02:00"))
    assert (ended.ended, ended.closed, ended.end_ms) == (True, "end_event", ms("10:01:00"))
    assert (after.ended, after.closed, after.cause) == (False, None, "gap")


def test_an_end_with_nothing_in_reach_is_a_session_of_its_own() -> None:
    assert numbers(checkout("10:00:00"), page("10:01:00")) == [1, 2]


def test_what_is_not_newer_than_the_end_still_joins_an_ended_session() -> None:
    visit = [page("10:00:00"), checkout("10:10:00")]
    assert numbers(*visit, page("10:10:00.000"))[-1] == 1
    assert numbers(*visit, page("10:05:00"))[-1] == 1
    assert numbers(*visit, page("09:30:00.000"))[-1] == 1


def test_a_further_end_within_the_gap_joins_and_moves_the_end() -> None:
    visit = [page("10:00:00"), checkout("10:10:00"), checkout("10:40:00.000"), checkout("11:10:00.001")]
    assert numbers(*visit) == [1, 1, 1, 2]
    assert sessions(*visit)[0].end_ms == ms("10:40:00")


def test_an_event_with_the_sessions_own_id_moves_an_end_forward_and_it_stays_ended() -> None:
    visit = [page("10:00:00", session="s1"), checkout("10:10:00"), page("10:20:00", session="s1")]
    assert numbers(*visit, page("10:20:00.001")) == [1, 1, 1, 2]
    ended, _ = sessions(*visit, page("10:20:00.001"))
    assert (ended.ended, ended.end_ms) == (True, ms("10:20:00"))


def test_what_was_ended_stays_so_when_no_type_ends_sessions_any_more() -> None:
    ended = step(page("10:00:00"), checkout("10:01:00"), rules=RULES).states
    (after,) = step(page("10:02:00"), states=ended).enriched
    assert after.session_number == 2


def test_an_end_with_a_session_id_ends_that_session() -> None:
    assert numbers(page("10:00:00", session="s1"), checkout("10:01:00", session="s1"), page("10:02:00")) == [
        1,
        1,
        2,
    ]
    assert numbers(checkout("10:00:00", session="s1"), page("10:01:00")) == [1, 2]


def test_an_end_joins_no_session_that_starts_after_it() -> None:
    assert numbers(page("10:00:00"), checkout("09:59:59.999"), page("10:00:01")) == [1, 2, 1]
    assert numbers(page("10:00:00"), checkout("10:00:00"), page("10:00:01")) == [1, 1, 2]


def test_a_late_end_inside_a_session_ends_it_where_it_ends() -> None:
    visit = [page("10:00:00"), page("10:20:00"), checkout("10:10:00"), page("10:19:00"), page("10:20:01")]
    assert numbers(*visit) == [1, 1, 1, 1, 2]


def test_no_merge_moves_the_end_of_an_ended_session() -> None:
    """What joins the second session reaches the first, but that was ended before."""
    visit = [page("10:00:00"), checkout("10:10:00"), page("10:41:00"), page("10:20:00")]
    assert numbers(*visit) == [1, 1, 2, 2]
    assert [(s.ended, s.event_count) for s in sessions(*visit)] == [(True, 2), (False, 2)]


def test_an_end_that_closes_its_session_within_the_gap_of_the_next_does_not_merge_with_it() -> None:
    visit = [page("10:00:00"), page("10:50:00"), checkout("10:24:00"), page("10:51:00")]
    assert numbers(*visit) == [1, 2, 1, 2]


def test_a_session_that_merges_into_an_earlier_one_with_its_end_leaves_it_ended() -> None:
    visit = [page("10:00:00"), checkout("10:50:00"), page("10:25:00"), page("10:51:00")]
    assert numbers(*visit) == [1, 2, 1, 3]
    merged, _ = sessions(*visit)
    assert (merged.ended, merged.end_ms, merged.event_count) == (True, ms("10:50:00"), 3)


def test_a_late_start_takes_up_an_ended_session_within_its_reach_and_is_ended_with_it() -> None:
    visit = [checkout("10:30:00"), campaign("10:00:00"), page("10:29:00"), page("10:31:00")]
    assert numbers(*visit) == [1, 2, 2, 3]
    taken_up, _ = sessions(*visit)
    assert (taken_up.ended, taken_up.end_ms, taken_up.event_count) == (True, ms("10:30:00"), 3)


def test_of_several_sessions_that_a_late_start_could_take_up_it_takes_up_the_nearest_first() -> None:
    """The first is ended and so keeps the second out; the second, taken up first, would enclose the first."""
    visit = [page("10:10:00"), checkout("10:15:00"), page("10:20:00"), page("10:30:00")]
    assert numbers(*visit, campaign("10:05:00"), page("10:12:00"), page("10:29:00")) == [1, 1, 2, 2, 3, 3, 2]


def test_of_two_sessions_that_are_equally_near_the_one_opened_later_merges() -> None:
    """Two at the same instant, the second by a start; the third reaches back to both."""
    visit = [page("10:00:00"), campaign("10:00:00"), page("10:50:00"), page("10:25:00")]
    assert numbers(*visit) == [1, 2, 3, 2]
    assert [(s.number, s.event_count) for s in sessions(*visit)] == [(1, 1), (2, 3)]
