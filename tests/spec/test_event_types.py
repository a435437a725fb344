"""Types of events that open, end or only accompany a session (docs/sessions.md, Event types)."""

from tests.builders import click, ms
from tests.core_step import enriched, step
from tests.typed_events import RULES, campaign, causes, checkout, events, numbers, page, ping, sessions
from worker.model.rules import SessionRules

# --- start ---


def test_a_start_opens_a_session_within_the_gap() -> None:
    assert numbers(page("10:00:00"), campaign("10:01:00"), page("10:02:00")) == [1, 2, 2]
    assert causes(page("10:00:00"), campaign("10:01:00"), page("10:02:00")) == ["first", "event_type", None]


def test_a_start_opens_a_session_at_the_very_time_of_the_last_event() -> None:
    assert numbers(page("10:00:00"), campaign("10:00:00"), campaign("10:00:00")) == [1, 2, 3]


def test_a_start_closes_the_session_it_would_have_joined() -> None:
    before, opened = sessions(page("10:00:00"), campaign("10:30:00.000"))
    assert (before.closed, opened.closed) == ("superseded", None)
    before, opened = sessions(page("10:00:00"), campaign("10:30:00.001"))
    assert (before.closed, opened.closed) == (None, None)


def test_what_is_older_than_a_start_does_not_join_its_session() -> None:
    assert numbers(page("10:00:00"), campaign("10:10:00"), page("10:09:59.999")) == [1, 2, 1]
    assert numbers(page("10:00:00"), campaign("10:10:00"), page("10:10:00.000")) == [1, 2, 2]
    assert causes(campaign("10:10:00"), page("10:09:59")) == ["first", "gap"]


def test_what_is_older_than_a_start_does_not_merge_with_its_session() -> None:
    visit = [page("10:00:00"), campaign("10:10:00"), page("10:09:59"), page("09:50:00")]
    assert [(s.number, s.event_count) for s in sessions(*visit)] == [(1, 3), (2, 1)]


def test_two_starts_at_the_same_instant_stay_two_sessions() -> None:
    assert [s.event_count for s in sessions(campaign("10:00:00"), campaign("10:00:00"))] == [1, 1]
    assert [s.event_count for s in sessions(page("10:00:00"), campaign("10:00:00"))] == [1, 1]


def test_a_late_start_becomes_one_with_the_later_session_within_its_reach() -> None:
    later, late_start, after = events(page("10:30:00.000"), campaign("10:00:00"), page("10:31:00"))
    assert late_start.session_cause == "event_type"
    assert (late_start.session_number, late_start.event_number) == (2, 2)
    assert later.session_id != late_start.session_id == after.session_id
    assert numbers(page("10:30:00.001"), campaign("10:00:00"), page("10:31:00")) == [1, 2, 1]


def test_a_late_start_does_not_reach_over_a_later_start() -> None:
    assert numbers(campaign("10:10:00"), campaign("10:00:00"), page("10:09:00"), page("10:11:00")) == [
        1,
        2,
        2,
        1,
    ]


def test_a_late_start_inside_a_session_does_not_cut_it() -> None:
    visit = [page("10:00:00"), page("10:20:00"), campaign("10:10:00")]
    assert [(s.start_ms, s.end_ms) for s in sessions(*visit)] == [
        (ms("10:00:00"), ms("10:20:00")),
        (ms("10:10:00"), ms("10:10:00")),
    ]
    # Both contain 10:10; from there on only the first does, until its end.
    assert numbers(*visit, page("10:10:00"))[-1] == 2
    assert numbers(*visit, page("10:19:00"))[-1] == 1
    assert numbers(*visit, page("10:21:00"))[-1] == 1


def test_a_session_that_a_start_opened_continues_by_the_gap_as_any_other() -> None:
    assert numbers(campaign("10:00:00"), page("10:30:00.000"), page("11:00:00.001")) == [1, 1, 2]


def test_the_devices_first_session_has_the_cause_first_and_its_start_is_fixed_all_the_same() -> None:
    assert causes(campaign("10:00:00"), page("09:59:00")) == ["first", "gap"]


def test_a_start_with_a_session_id_is_an_event_of_that_session() -> None:
    visit = [page("10:00:00", session="s1"), campaign("10:01:00", session="s1"), page("10:00:30")]
    assert numbers(*visit) == [1, 1, 1]
    assert causes(page("10:00:00"), campaign("10:01:00", session="s1")) == ["first", "client"]


# --- passive ---


def test_a_passive_event_joins_and_counts() -> None:
    first, accompanying, after = events(page("10:00:00"), ping("10:01:00"), page("10:02:00"))
    assert accompanying.session_id == first.session_id
    assert [event.event_number for event in (first, accompanying, after)] == [1, 2, 3]


def test_a_passive_event_does_not_keep_a_session_alive() -> None:
    assert numbers(page("10:00:00"), ping("10:20:00"), page("10:30:00.001")) == [1, 1, 2]


def test_a_passive_event_changes_nothing_of_its_session_but_the_counts() -> None:
    alone = sessions(page("10:00:00", view="v1", user="ann"))[0]
    for at in ("09:50:00", "10:00:00", "10:20:00"):
        accompanied = sessions(page("10:00:00", view="v1", user="ann"), ping(at, view="v2", user="bob"))[0]
        assert (accompanied.event_count, accompanied.passive_count) == (2, 1)
        accompanied.event_count, accompanied.passive_count = 1, 0
        assert accompanied == alone


def test_a_passive_event_out_of_reach_opens_nothing_and_has_no_session() -> None:
    _, alone, after = events(page("10:00:00"), ping("10:30:00.001"), page("10:30:00.001"))
    assert (alone.session_id, alone.session_source, alone.session_start) == (None, None, None)
    assert (alone.session_number, alone.event_number, alone.session_cause) == (None, None, None)
    assert after.session_number == 2


def test_a_passive_event_that_comes_first_makes_the_device_known_and_opens_nothing() -> None:
    alone, after = events(ping("10:00:00"), page("10:01:00"))
    assert (alone.session_id, alone.flags) == (None, ("new_device",))
    assert (after.session_number, after.event_number, after.session_cause) == (1, 1, "first")
    assert after.flags == ("session_start",)


def test_a_passive_event_counts_as_the_devices_newest() -> None:
    _, _, later = events(page("10:00:00"), ping("12:00:00"), page("11:24:59.999"))
    assert later.flags == ("session_start", "out_of_order", "late")
    assert later.session_cause == "late"


def test_a_passive_event_moves_the_watermark_and_may_link_its_user() -> None:
    result = step(page("10:00:00"), ping("10:01:00", user="ann"), rules=RULES)
    assert result.watermark_ms == ms("10:01:00")
    _, accompanying = result.enriched
    assert (accompanying.user_id, accompanying.flags) == ("ann", ("linked",))


def test_a_passive_event_does_not_make_its_session_the_most_recently_touched() -> None:
    hours = [page(f"{hour}:00:00") for hour in ("10", "11", "12", "13")]
    assert [s.number for s in sessions(*hours, ping("10:01:00"), page("14:00:00"))] == [2, 3, 4, 5]
    assert [s.number for s in sessions(*hours, page("10:01:00"), page("14:00:00"))] == [1, 3, 4, 5]


def test_passive_events_in_between_do_not_change_which_sessions_are_remembered() -> None:
    hours = [page(f"{hour}:00:00") for hour in ("10", "11", "12", "13", "14")]
    accompanied = [event for hour in hours for event in (hour, ping("09:45:00"))]
    assert [s.number for s in sessions(*hours)] == [s.number for s in sessions(*accompanied)] == [2, 3, 4, 5]


def test_a_passive_event_joins_by_nearness_an_older_session_and_counts_there() -> None:
    visit = [page("10:00:00"), page("12:00:00"), ping("10:10:00"), page("10:11:00")]
    assert [(e.session_number, e.event_number) for e in events(*visit)] == [(1, 1), (2, 1), (1, 2), (1, 3)]


def test_a_passive_event_joins_no_session_with_a_fixed_start_after_it() -> None:
    assert numbers(campaign("10:00:00"), ping("09:59:59.999")) == [1, None]
    assert numbers(campaign("10:00:00"), ping("10:00:00")) == [1, 1]


def test_a_passive_event_joins_an_ended_session_within_the_gap() -> None:
    assert numbers(checkout("10:00:00"), ping("10:30:00.000"), ping("10:30:00.001")) == [1, 1, None]


def test_a_passive_event_never_brings_two_sessions_together() -> None:
    assert numbers(page("10:00:00"), page("10:50:00"), ping("10:25:00"), page("10:51:00")) == [1, 2, 2, 2]


def test_a_passive_event_with_a_session_id_is_an_event_of_that_session() -> None:
    visit = [page("10:00:00"), ping("12:00:00", session="s1"), page("12:30:00")]
    assert numbers(*visit) == [1, 2, 2]
    assert causes(*visit) == ["first", "client", None]


# --- any type ---


def test_a_star_stands_for_every_type_that_is_not_named() -> None:
    rules = SessionRules(event_types={"*": "passive", "page_view": "normal"})
    visit = [page("10:00:00"), ping("10:20:00"), checkout("10:29:00"), page("10:30:00.001")]
    assert [event.session_number for event in enriched(*visit, rules=rules)] == [1, 1, 1, 2]


def test_a_normal_type_does_nothing_besides() -> None:
    rules = SessionRules(event_types={"page_view": "normal", "purchase": "normal"})
    visit = [page("10:00:00"), click("d1", at="10:20:00", type="purchase"), page("10:50:00.000")]
    assert enriched(*visit, rules=rules) == enriched(*visit)
