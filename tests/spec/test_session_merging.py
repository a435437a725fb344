"""When two sessions become one, and what is known of them (docs/sessions.md, Out of order and merge)."""

from itertools import permutations
from zlib import crc32

from tests.builders import click, ms
from tests.core_step import enriched, remembered
from worker.core.views import MAX_VIEWS, view_count
from worker.model.rules import SessionRules


def test_an_event_between_two_assigned_sessions_merges_them_into_the_earlier_one() -> None:
    events = enriched(
        click("d1", at="10:00:00"),
        click("d1", at="10:50:00"),
        click("d1", at="10:25:00"),
        click("d1", at="10:51:00"),
    )
    first, second, between, after = events
    assert first.session_id != second.session_id
    assert between.session_id == after.session_id == first.session_id
    assert (after.session_number, after.session_start) == (1, ms("10:00:00"))


def test_the_session_that_starts_earlier_keeps_its_id_also_when_it_was_opened_later() -> None:
    newer, older, between = enriched(
        click("d1", at="10:50:00"), click("d1", at="10:00:00"), click("d1", at="10:25:00")
    )
    assert between.session_id == older.session_id != newer.session_id
    assert between.session_number == 2


def test_the_event_number_goes_on_from_the_sum_after_a_merge() -> None:
    events = enriched(
        click("d1", at="10:00:00"),
        click("d1", at="10:01:00"),
        click("d1", at="10:50:00"),
        click("d1", at="10:51:00"),
        click("d1", at="10:25:00"),
        click("d1", at="10:52:00"),
    )
    assert [event.event_number for event in events] == [1, 2, 1, 2, 5, 6]


def test_two_sessions_exactly_a_gap_apart_merge_and_one_millisecond_more_keeps_them_apart() -> None:
    two = [click("d1", at="10:00:00"), click("d1", at="10:50:00")]
    assert len(remembered(*two, click("d1", at="10:20:00.000"))) == 1
    assert len(remembered(*two, click("d1", at="10:19:59.999"))) == 2


def test_a_session_that_may_merge_with_several_merges_with_the_nearest_first() -> None:
    """Merged with the nearest, whose end stays, it may not merge with the other any more."""
    sessions = remembered(
        click("d1", at="10:10:00", type="stop"),
        click("d1", at="10:20:00"),
        click("d1", at="12:00:00"),
        click("d1", at="10:00:00", type="launch"),
        rules=SessionRules(event_types={"launch": "start", "stop": "end"}),
    )
    assert [(s.start_ms, s.end_ms, s.event_count) for s in sessions] == [
        (ms("10:00:00"), ms("10:10:00"), 2),
        (ms("10:20:00"), ms("10:20:00"), 1),
        (ms("12:00:00"), ms("12:00:00"), 1),
    ]


def test_a_merged_session_is_what_one_session_would_have_been() -> None:
    visit = [
        click("d1", at="10:00:00", id="first", user="ann", view="v1"),
        click("d1", at="10:25:00", id="between", view="v1"),
        click("d1", at="10:50:00", id="last", user="bob", view="v2", type="purchase"),
    ]
    (in_order,) = remembered(*visit)
    (merged,) = remembered(visit[2], visit[0], visit[1])
    for session in (in_order, merged):
        assert (session.start_ms, session.end_ms) == (ms("10:00:00"), ms("10:50:00"))
        assert (session.event_count, view_count(session.views), session.user_id) == (3, 2, "bob")
        assert session.first is not None
        assert session.last is not None
        assert (session.first.id, session.last.id, session.last.type) == ("first", "last", "purchase")


def test_a_merged_session_was_touched_last_and_is_remembered() -> None:
    two = [click("d1", at="10:00:00"), click("d1", at="10:50:00")]
    others = [click("d1", at=f"{hour}:00:00") for hour in ("12", "13")]
    visit = [
        *two,
        *others,
        click("d1", at="10:25:00"),
        click("d1", at="14:00:00"),
        click("d1", at="15:00:00"),
    ]
    assert [session.number for session in remembered(*visit)] == [1, 4, 5, 6]


def test_a_merge_counts_a_view_of_both_once() -> None:
    (merged,) = remembered(
        click("d1", at="10:00:00", view="v1"),
        click("d1", at="10:50:00", view="v1"),
        click("d1", at="10:55:00", view="v2"),
        click("d1", at="10:25:00", view="v2"),
    )
    assert view_count(merged.views) == 2


def test_passive_events_sum_at_a_merge() -> None:
    rules = SessionRules(event_types={"ping": "passive"})
    (merged,) = remembered(
        click("d1", at="10:00:00"),
        click("d1", at="10:01:00", type="ping"),
        click("d1", at="10:50:00"),
        click("d1", at="10:51:00", type="ping"),
        click("d1", at="10:25:00"),
        rules=rules,
    )
    assert (merged.event_count, merged.passive_count) == (5, 2)


def test_a_late_user_does_not_take_a_merged_session_from_its_newest_one() -> None:
    visit = [click("d1", at="10:00:00", user="ann"), click("d1", at="10:50:00", user="bob")]
    bridge, late = click("d1", at="10:25:00"), click("d1", at="10:49:00", user="eve")
    assert [session.user_id for session in remembered(*visit, bridge, late)] == ["bob"]


# --- What a session knows of its events ---


VIEWS = ["v1", "v1", "v2", "v2"]


def test_a_view_counts_once_in_whatever_order_its_events_arrive() -> None:
    events = [click("d1", at=f"10:0{n}:00", view=view) for n, view in enumerate(VIEWS)]
    for order in permutations(events):
        (session,) = remembered(*order)
        assert view_count(session.views) == 2


def test_coming_back_to_a_view_counts_nothing() -> None:
    views = ["v1", "v2", "v1"]
    (session,) = remembered(*(click("d1", at=f"10:0{n}:00", view=view) for n, view in enumerate(views)))
    assert view_count(session.views) == 2


def test_an_event_without_a_view_counts_none() -> None:
    (session,) = remembered(click("d1", at="10:00:00", view="v1"), click("d1", at="10:01:00"))
    assert view_count(session.views) == 1


def test_views_are_counted_up_to_a_bound() -> None:
    views = [f"v{n}" for n in range(MAX_VIEWS + 2)]
    events = [click("d1", at=f"10:{n // 60}:{n % 60}", view=view) for n, view in enumerate(views)]
    assert [view_count(remembered(*events[:n])[0].views) for n in (127, 128, 130)] == [127, 128, 128]
    apart = click("d1", at="10:50:00", view="another")
    (merged,) = remembered(*events, apart, click("d1", at="10:30:00", view="v0"))
    assert view_count(merged.views) == MAX_VIEWS == 128


ACROSS = ["v3827", "v25579", "v2"]
"""Views of which the last has a hash that lies across those of the first two."""


def test_a_hash_that_lies_across_two_others_is_another_view() -> None:
    first, second, across = (crc32(view.encode()).to_bytes(4) for view in ACROSS)
    assert across in first + second
    (session,) = remembered(*(click("d1", at=f"10:0{n}:00", view=view) for n, view in enumerate(ACROSS)))
    assert view_count(session.views) == 3


def test_a_passive_event_counts_no_view_however_it_joined() -> None:
    rules = SessionRules(event_types={"ping": "passive"})
    page = click("d1", at="10:00:00", session="s1", view="v1")
    for name in (None, "s1"):
        ping = click("d1", at="10:01:00", session=name, view="v2", type="ping")
        (session,) = remembered(page, ping, rules=rules)
        assert (session.event_count, session.passive_count, view_count(session.views)) == (2, 1, 1)


def test_a_sessions_user_is_that_of_its_newest_event_that_has_one() -> None:
    (session,) = remembered(
        click("d1", at="10:05:00", user="bob"),
        click("d1", at="10:06:00"),
        click("d1", at="10:01:00", user="ann"),
    )
    assert session.user_id == "bob"


def test_of_two_users_at_the_same_time_the_one_that_arrives_later_is_the_sessions() -> None:
    at = "10:05:00"
    (session,) = remembered(click("d1", at=at, user="ann"), click("d1", at=at, user="bob"))
    assert session.user_id == "bob"


def test_a_merged_sessions_user_is_that_of_the_newest_event_whichever_session_it_was_in() -> None:
    ann, bob = click("d1", at="10:00:00", user="ann"), click("d1", at="10:50:00", user="bob")
    between = click("d1", at="10:25:00")
    for visit in ([ann, bob, between], [bob, ann, between]):
        assert [session.user_id for session in remembered(*visit)] == ["bob"]
    nobody = click("d1", at="10:50:00")
    assert [session.user_id for session in remembered(ann, nobody, between)] == ["ann"]


def test_entry_and_exit_are_by_event_time_not_by_arrival() -> None:
    (session,) = remembered(
        click("d1", at="10:05:00", id="middle"),
        click("d1", at="10:09:00", id="exit"),
        click("d1", at="10:01:00", id="entry"),
        click("d1", at="10:06:00", id="late"),
    )
    assert session.first is not None
    assert session.last is not None
    assert (session.first.id, session.last.id) == ("entry", "exit")


def test_of_events_at_the_same_time_the_first_to_arrive_is_the_entry_and_the_last_the_exit() -> None:
    (session,) = remembered(*(click("d1", at="10:00:00", id=name) for name in "abc"))
    assert session.first is not None
    assert session.last is not None
    assert (session.first.id, session.last.id) == ("a", "c")
