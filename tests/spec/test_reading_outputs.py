"""What is easy to misread in the outputs, as docs/outputs.md (Reading sessions) says it."""

from collections.abc import Iterable
from pathlib import Path

from tests.builders import click, ms
from tests.core_step import RULES, published
from worker.config import load
from worker.core.closing import run_timers
from worker.model.outputs import IdentityRecord, SessionRecord

ROOT = Path(__file__).parents[2]


def last_rows(sessions: Iterable[SessionRecord]) -> list[SessionRecord]:
    """The last row of each session, in order of opening."""
    last = {(row.device_id, row.session_id): row for row in sessions}
    return sorted(last.values(), key=lambda row: row.session_number)


def owner(identity: IdentityRecord, t_ms: int) -> str | None:
    """Whose the device was at ``t_ms``, by its record on the identities topic alone."""
    since = [link for link in identity.links if link.since <= t_ms]
    return (since[-1] if since else identity.links[0]).user_id


def test_the_event_with_the_flag_session_start_need_not_be_the_entry_event() -> None:
    result = published(click("d", "10:10:00", id="opens"), click("d", "10:00:00", id="lands"))
    assert [event.id for event in result.enriched if "session_start" in event.flags] == ["opens"]
    assert [event.id for event in result.enriched if event.event_number == 1] == ["opens"]
    (closed,) = run_timers(result.states, 0, ms("20:00:00"), RULES).sessions
    assert closed.entry_event.id == "lands"


def test_events_of_one_session_may_have_several_session_starts_and_the_row_has_the_last() -> None:
    times = ("10:10:00", "10:00:00", "10:20:00")
    result = published(*(click("d", at) for at in times))
    assert len({event.session_id for event in result.enriched}) == 1
    starts = [event.session_start for event in result.enriched]
    assert starts == [ms("10:10:00"), ms("10:00:00"), ms("10:00:00")]
    (closed,) = run_timers(result.states, 0, ms("20:00:00"), RULES).sessions
    assert closed.start == ms("10:00:00")


def test_page_views_without_a_view_id_are_no_views() -> None:
    result = published(click("d", "10:00:00"), click("d", "10:01:00"))
    (closed,) = run_timers(result.states, 0, ms("20:00:00"), RULES).sessions
    assert (closed.event_count, closed.view_count) == (2, 0)


def test_a_page_view_with_a_heartbeat_is_a_bounce_of_two_events() -> None:
    rules = load(ROOT / "config" / "examples" / "web.toml", {}).rules
    result = published(click("d", "10:00:00"), click("d", "10:01:00", type="heartbeat"), rules=rules)
    (closed,) = run_timers(result.states, 0, ms("20:00:00"), rules).sessions
    assert (closed.is_bounce, closed.event_count, closed.active_count) == (True, 2, 1)


def test_events_of_a_merged_row_count_in_the_session_that_it_merged_into_too() -> None:
    visit = [click("d", at) for at in ("10:00:00", "10:50:00", "10:25:00")]
    survivor, merged = last_rows(published(*visit).sessions)
    assert (survivor.event_count, survivor.status) == (3, "open")
    assert merged.merged_into == survivor.session_id
    assert merged.event_count == 2, "its own, and the one that merged it"


def test_session_numbers_are_in_order_of_opening_and_have_holes_where_sessions_merged() -> None:
    times = ("10:00:00", "10:50:00", "12:00:00", "08:00:00", "10:25:00")
    rows = last_rows(published(*(click("d", at) for at in times)).sessions)
    assert [row.session_number for row in rows if row.status != "merged"] == [1, 3, 4]
    assert [row.start for row in rows if row.session_number == 4] == [ms("08:00:00")]


def test_each_device_of_a_user_has_a_session_number_one() -> None:
    rows = published(click("phone", user="ann"), click("laptop", user="ann")).sessions
    assert [(row.user_id, row.session_number) for row in rows] == [("ann", 1), ("ann", 1)]


def test_sessions_evicted_before_a_login_keep_no_user_and_the_timeline_says_whose_they_are() -> None:
    visits = [click("d", f"{hour}:00:00") for hour in (10, 11, 12, 13, 14, 15)]
    result = published(*visits, click("d", "15:05:00", user="ann"))
    rows = last_rows(result.sessions)
    assert [row.user_id for row in rows] == [None, None, "ann", "ann", "ann", "ann"]
    (identity,) = [record for _, record in result.identities if record is not None]
    assert list(identity.sessions) == [row.session_id for row in rows[2:]]
    assert [owner(identity, row.start) for row in rows] == ["ann"] * 6
    assert [event.user_id for event in result.enriched] == [None] * 6 + ["ann"], "what has gone out stays"
