"""Sessions that another user or their length cuts short (docs/sessions.md, Limits)."""

from typing import Any

from tests.builders import RawEvent, click, ms
from tests.core_step import enriched, remembered
from worker.model.outputs import EnrichedEvent
from worker.model.rules import SessionRules
from worker.model.state import Session

SPLIT = SessionRules(split_on_user_change=True)
HOUR = SessionRules(max_duration_ms=3_600_000)


def page(at: str, **more: Any) -> RawEvent:
    """An event of the one device."""
    return click("d1", at=at, **more)


# --- the user changes ---


def test_another_user_opens_a_session() -> None:
    visit = [page("10:00:00", user="ann"), page("10:01:00", user="bob"), page("10:02:00", user="bob")]
    assert numbers(SPLIT, *visit) == [1, 2, 2]
    assert causes(SPLIT, *visit) == ["first", "user_changed", None]


def test_without_the_option_another_user_goes_on() -> None:
    assert numbers(SessionRules(), page("10:00:00", user="ann"), page("10:01:00", user="bob")) == [1, 1]


def test_the_same_user_again_and_an_event_without_one_go_on() -> None:
    visit = [page("10:00:00", user="ann"), page("10:01:00"), page("10:02:00", user="ann")]
    assert numbers(SPLIT, *visit) == [1, 1, 1]


def test_the_first_user_of_a_session_goes_on() -> None:
    visit = [page("10:00:00"), page("10:01:00", user="ann"), page("10:02:00", user="bob")]
    assert numbers(SPLIT, *visit) == [1, 1, 2]


def test_users_are_compared_with_that_of_the_sessions_newest_event_that_has_one() -> None:
    visit = [page("10:05:00", user="ann", session="s1"), page("10:01:00", user="bob", session="s1")]
    assert numbers(SPLIT, *visit, page("10:06:00", user="ann")) == [1, 1, 1]
    assert numbers(SPLIT, *visit, page("10:06:00", user="bob")) == [1, 1, 2]


def test_the_session_of_the_other_user_is_superseded_and_what_is_older_stays_with_it() -> None:
    visit = [page("10:00:00", user="ann"), page("10:10:00", user="bob"), page("10:09:59.999")]
    assert numbers(SPLIT, *visit) == [1, 2, 1]
    assert [session.closed for session in sessions(SPLIT, *visit[:2])] == ["superseded", None]
    assert [session.closed for session in sessions(SPLIT, *visit)] == [None, None], (
        "joined again, it is open again"
    )


# --- out of order, where another user splits ---


def test_a_late_event_of_another_user_opens_a_session_beside_and_closes_none() -> None:
    visit = [page("10:00:00", user="ann"), page("10:20:00", user="ann"), page("10:10:00", user="bob")]
    assert numbers(SPLIT, *visit) == [1, 1, 2]
    assert causes(SPLIT, *visit)[-1] == "user_changed"
    assert [(s.user_id, s.closed) for s in sessions(SPLIT, *visit)] == [("ann", None), ("bob", None)]
    assert numbers(SPLIT, *visit, page("10:25:00", user="ann")) == [1, 1, 2, 1]


def test_in_order_is_not_older_than_the_devices_newest_event() -> None:
    ann = page("10:05:00.000", user="ann")
    for at, closed in (("10:04:59.999", None), ("10:05:00.000", "superseded")):
        visit = [ann, page(at, user="bob")]
        assert numbers(SPLIT, *visit) == [1, 2]
        assert {s.user_id: s.closed for s in sessions(SPLIT, *visit)} == {"ann": closed, "bob": None}


def test_the_newest_is_the_devices_not_the_sessions() -> None:
    visit = [page("10:00:00", user="ann"), page("12:00:00"), page("10:01:00", user="bob")]
    assert numbers(SPLIT, *visit) == [1, 2, 3]


def test_a_late_event_joins_the_nearest_session_of_no_other_user() -> None:
    visit = [page("10:00:00", user="ann"), page("10:10:00", user="bob"), page("10:20:00", user="bob")]
    assert numbers(SPLIT, *visit, page("10:15:00", user="ann")) == [1, 2, 2, 1]
    assert numbers(SPLIT, *visit, page("10:05:00", user="bob"), page("10:06:00", user="bob")) == [
        1,
        2,
        2,
        3,
        3,
    ]
    beside = [page("10:00:00", user="ann"), page("10:40:00"), page("10:20:00", user="bob")]
    assert numbers(SPLIT, *beside) == [1, 2, 2]


def test_the_day_of_the_document() -> None:
    day = [page("10:00:00", user="ann"), page("10:05:00"), page("10:10:00", user="bob"), page("10:12:00")]
    assert numbers(SPLIT, *day) == [1, 1, 2, 2]
    for late, number in (
        (page("10:11:00", user="ann"), 1),
        (page("10:04:00", user="bob"), 3),
        (page("10:11:00"), 2),
    ):
        assert numbers(SPLIT, *day, late)[-1] == number


def test_late_events_of_one_user_are_one_session_in_any_order() -> None:
    ann = [page("10:00:00", user="ann"), page("10:20:00", user="ann")]
    bob = [page("10:05:00", user="bob"), page("10:10:00", user="bob")]
    assert numbers(SPLIT, *ann, *bob) == [1, 1, 2, 2]
    assert numbers(SPLIT, *ann, *bob[::-1]) == [1, 1, 2, 2]


def test_a_late_event_without_a_user_joins_the_nearest_session_whosever_it_is() -> None:
    visit = [page("10:00:00", user="ann"), page("10:10:00", user="bob"), page("10:20:00", user="bob")]
    assert numbers(SPLIT, *visit, page("10:09:00"), page("10:12:00")) == [1, 2, 2, 1, 2]


def test_sessions_of_two_users_never_merge_and_what_lies_between_goes_to_the_nearer() -> None:
    visit = [page("10:00:00", user="ann"), page("10:50:00", user="bob")]
    assert numbers(SPLIT, *visit, page("10:24:00")) == [1, 2, 1]
    assert [s.user_id for s in sessions(SPLIT, *visit, page("10:24:00"))] == ["ann", "bob"]
    assert len(sessions(SPLIT, *visit[:1], page("10:50:00", user="ann"), page("10:24:00"))) == 1
    assert len(sessions(SessionRules(), *visit, page("10:24:00"))) == 1


def test_an_anonymous_session_that_merges_with_ones_user_merges_with_no_others() -> None:
    visit = [page("10:00:00", user="ann"), page("10:35:00"), page("11:10:00", user="bob"), page("10:28:00")]
    assert numbers(SPLIT, *visit, page("10:45:00")) == [1, 2, 3, 1, 1]
    assert [s.user_id for s in sessions(SPLIT, *visit, page("10:45:00"))] == ["ann", "bob"]


def test_a_late_start_of_another_user_supersedes_none() -> None:
    rules = SessionRules(split_on_user_change=True, event_types={"campaign": "start"})
    visit = [page("10:00:00", user="ann"), page("10:20:00", user="ann")]
    late = page("10:10:00", user="bob", type="campaign")
    assert causes(rules, *visit, late)[-1] == "event_type"
    assert [session.closed for session in sessions(rules, *visit, late)] == [None, None]


def test_a_late_end_of_another_user_ends_a_session_of_its_own() -> None:
    rules = SessionRules(split_on_user_change=True, event_types={"checkout": "end"})
    visit = [page("10:00:00", user="ann"), page("10:20:00", user="ann")]
    late = page("10:10:00", user="bob", type="checkout")
    assert [session.closed for session in sessions(rules, *visit, late)] == [None, "end_event"]


def test_a_late_event_of_another_user_joins_no_client_session_without_its_id() -> None:
    client = [page("10:00:00", user="ann", session="s1"), page("10:20:00", user="ann", session="s1")]
    assert numbers(SPLIT, *client, page("10:10:00", user="bob")) == [1, 1, 2]
    assert numbers(SPLIT, *client, page("10:10:00", user="bob", session="s1")) == [1, 1, 1]


# --- passive events, where another user splits ---

PASSIVE = SessionRules(split_on_user_change=True, event_types={"ping": "passive"})


def test_a_passive_event_joins_no_session_of_another_user_in_order_or_late() -> None:
    visit = [page("10:00:00", user="ann"), page("10:20:00", user="ann")]
    for at in ("10:10:00", "10:21:00"):
        assert numbers(PASSIVE, *visit, page(at, user="bob", type="ping")) == [1, 1, None]
    assert numbers(PASSIVE, *visit, page("10:21:00", type="ping")) == [1, 1, 1]


def test_a_passive_event_joins_the_nearest_session_of_no_other_user() -> None:
    visit = [page("10:00:00", user="ann"), page("10:10:00", user="bob")]
    assert numbers(PASSIVE, *visit, page("10:11:00", user="ann", type="ping")) == [1, 2, 1]


def test_a_passive_events_user_is_that_of_a_session_without_one() -> None:
    visit = [page("10:00:00"), page("10:01:00", user="bob", type="ping"), page("10:02:00", user="ann")]
    assert numbers(PASSIVE, *visit) == [1, 1, 2]
    assert [session.user_id for session in sessions(PASSIVE, *visit)] == ["bob", "ann"]


# --- what else decides, beside the user ---


def test_another_user_after_the_gap_opens_a_session_by_the_gap() -> None:
    visit = [page("10:00:00", user="ann"), page("10:30:00.001", user="bob")]
    assert causes(SPLIT, *visit) == ["first", "gap"]
    assert [session.closed for session in sessions(SPLIT, *visit)] == [None, None]


def test_a_client_session_is_split_by_another_user_only_for_events_without_its_id() -> None:
    visit = [page("10:00:00", user="ann", session="s1"), page("10:01:00", user="bob", session="s1")]
    assert numbers(SPLIT, *visit) == [1, 1]
    assert numbers(SPLIT, visit[0], page("10:01:00", user="bob")) == [1, 2]


def test_an_end_of_another_user_opens_a_session_and_ends_it() -> None:
    rules = SessionRules(split_on_user_change=True, event_types={"checkout": "end"})
    visit = [page("10:00:00", user="ann"), page("10:01:00", user="bob", type="checkout"), page("10:02:00")]
    assert numbers(rules, *visit) == [1, 2, 1]


def test_of_two_causes_the_start_comes_before_the_user() -> None:
    rules = SessionRules(split_on_user_change=True, event_types={"campaign": "start"})
    visit = [page("10:00:00", user="ann"), page("10:01:00", user="bob", type="campaign")]
    assert causes(rules, *visit) == ["first", "event_type"]


# --- greatest duration ---


def test_a_session_may_be_exactly_as_long_as_the_limit() -> None:
    hour = [page("10:00:00"), page("10:30:00"), page("11:00:00.000")]
    assert numbers(HOUR, *hour) == [1, 1, 1]
    assert numbers(HOUR, *hour, page("11:00:00.001")) == [1, 1, 1, 2]
    assert causes(HOUR, *hour, page("11:00:00.001"))[-1] == "max_duration"


def test_a_limit_of_nothing_is_none() -> None:
    hours = [page(f"{hour}:{minute}:00") for hour in range(10, 20) for minute in (10, 30, 50)]
    assert set(numbers(SessionRules(max_duration_ms=0), *hours)) == {1}


def test_what_opens_by_the_limit_closes_the_session_it_would_have_joined() -> None:
    full, after = sessions(HOUR, page("10:00:00"), page("10:30:00"), page("11:00:00"), page("11:10:00"))
    assert (full.closed, after.closed) == ("max_duration", None)


def test_what_is_older_stays_with_the_full_session() -> None:
    hour = [page("10:00:00"), page("10:30:00"), page("10:50:00"), page("11:10:00")]
    assert numbers(HOUR, *hour, page("11:00:00"), page("11:09:00"), page("11:11:00")) == [
        1,
        1,
        1,
        2,
        1,
        3,
        2,
    ]


def test_a_late_event_that_would_move_the_start_too_far_back_opens_a_session() -> None:
    hour = [page("10:00:00"), page("10:30:00"), page("11:00:00")]
    assert numbers(HOUR, *hour, page("09:59:59.999")) == [1, 1, 1, 2]
    assert numbers(HOUR, *hour[1:], page("10:00:00")) == [1, 1, 1]


def test_no_merge_makes_a_session_longer_than_the_limit() -> None:
    two = [page("10:00:00"), page("10:20:00"), page("11:00:00.000")]
    assert numbers(HOUR, *two, page("10:40:00"), page("11:00:00")) == [1, 1, 2, 1, 1]
    two_longer = [page("10:00:00"), page("10:20:00"), page("11:00:00.001")]
    assert numbers(HOUR, *two_longer, page("10:40:00"), page("11:00:00")) == [1, 1, 2, 1, 2]


def test_a_full_session_is_passed_over_for_the_next_that_has_room() -> None:
    full = [page("10:00:00"), page("10:30:00"), page("11:00:00")]
    assert numbers(HOUR, *full, page("11:20:00", session="s1"), page("11:05:00")) == [1, 1, 1, 2, 2]
    later = [page("11:40:00"), page("11:15:00")]
    assert numbers(HOUR, *full, *later) == [1, 1, 1, 2, 2]


def test_a_client_session_has_no_limit() -> None:
    half_hours = [f"{hour}:{minute}:00" for hour in (10, 11, 12) for minute in ("00", "30")]
    assert set(numbers(HOUR, page("09:45:00", session="s1"), *map(page, half_hours))) == {1}


def test_a_passive_event_has_no_limit_for_it_makes_nothing_longer() -> None:
    rules = SessionRules(max_duration_ms=3_600_000, event_types={"ping": "passive"})
    hour = [page("10:00:00"), page("10:30:00"), page("11:00:00")]
    assert numbers(rules, *hour, page("11:20:00", type="ping")) == [1, 1, 1, 1]


def test_a_passive_event_passes_over_no_session_that_is_full() -> None:
    rules = SessionRules(max_duration_ms=3_600_000, event_types={"ping": "passive"})
    visit = [page("10:00:00"), page("10:30:00"), page("11:00:00"), page("11:20:00", session="s1")]
    assert numbers(rules, *visit, page("11:05:00", type="ping"))[-1] == 1
    assert numbers(rules, *visit, page("11:05:00"))[-1] == 2


def test_a_limit_of_a_millisecond_is_one() -> None:
    rules = SessionRules(max_duration_ms=1)
    assert numbers(rules, page("10:00:00.000"), page("10:00:00.001"), page("10:00:00.002")) == [1, 1, 2]


def test_the_first_cause_that_applies_is_the_user_before_the_limit() -> None:
    rules = SessionRules(split_on_user_change=True, max_duration_ms=60_000)
    visit = [page("10:00:00", user="ann"), page("10:10:00", user="bob")]
    assert causes(rules, *visit) == ["first", "user_changed"]
    assert causes(rules, visit[0], page("10:10:00", user="ann")) == ["first", "max_duration"]


BOTH = SessionRules(split_on_user_change=True, max_duration_ms=3_600_000)


def test_in_order_the_nearest_session_decides_about_the_user_before_its_length_does() -> None:
    full = [page("10:00:00", user="ann"), page("10:30:00"), page("11:00:00", user="ann")]
    beside = page("10:50:00", user="bob", session="s1")
    assert causes(BOTH, *full, beside, page("11:05:00", user="bob"))[-1] == "user_changed"
    assert causes(BOTH, *full, beside, page("11:05:00", user="ann"))[-1] == "max_duration"
    assert numbers(BOTH, *full, beside, page("11:05:00"))[-1] == 2


def test_a_late_event_passes_over_other_users_and_then_over_full_sessions() -> None:
    full = [page("10:10:00", user="ann"), page("10:40:00"), page("11:10:00", user="ann")]
    assert causes(BOTH, *full, page("10:05:00", user="ann"))[-1] == "max_duration"
    assert causes(BOTH, *full, page("10:05:00", user="bob"))[-1] == "user_changed"
    assert [s.closed for s in sessions(BOTH, *full, page("10:05:00", user="ann"))] == [None, "max_duration"]
    assert [s.closed for s in sessions(BOTH, *full, page("10:05:00", user="bob"))] == [None, None]


def test_the_limit_counts_from_the_first_event_of_each_session() -> None:
    visit = [page(f"{hour}:{minute}:00") for hour in (10, 11, 12) for minute in ("00", "20", "40")]
    assert numbers(HOUR, *visit) == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert [(s.start_ms, s.end_ms) for s in sessions(HOUR, *visit)][:2] == [
        (ms("10:00:00"), ms("11:00:00")),
        (ms("11:20:00"), ms("12:20:00")),
    ]


def sessions(rules: SessionRules, *raw: RawEvent) -> list[Session]:
    """What is remembered."""
    return remembered(*raw, rules=rules)


def events(rules: SessionRules, *raw: RawEvent) -> list[EnrichedEvent]:
    """The enriched events."""
    return enriched(*raw, rules=rules)


def numbers(rules: SessionRules, *raw: RawEvent) -> list[int | None]:
    """The session number of each event."""
    return [event.session_number for event in events(rules, *raw)]


def causes(rules: SessionRules, *raw: RawEvent) -> list[str | None]:
    """The cause that each event carries."""
    return [event.session_cause for event in events(rules, *raw)]
