"""When a worker says that most events are in no session, and how often."""

from collections import Counter

from tests.builders import click, record
from tests.core_step import step
from worker.core.encode import encode_step
from worker.engine.draft import Draft
from worker.model.rules import SessionRules
from worker.model.state import Meta
from worker.task.session_share import KEPT_TYPES, SessionShare, add_types, most_frequent
from worker.task.status import TaskStatistics
from worker.telemetry import EventsWithoutSession

ONLY_PAGEVIEWS = SessionRules(event_types={"*": "passive", "pageview": "normal"})

META = Meta(schema=1, incarnation="", raw_topic="events.raw", next_offsets={"events.raw": 0})


def windows(*shares: float, events: int = 1_000) -> list[bool]:
    """For windows with these shares of events in no session: whether each is logged."""
    share = SessionShare()
    return [share.add(events, int(of * events), {"page_view": int(of * events)}) is not None for of in shares]


def test_events_in_no_session_are_counted_by_type_and_those_in_one_are_not() -> None:
    result = step(
        click("d1"),
        click("d2", type="pageview"),
        click("d2", type="scroll"),
        click("d1", type="scroll"),
        click("d1", "10:01:00"),
        rules=ONLY_PAGEVIEWS,
    )
    assert result.without_session == {"page_view": 2, "scroll": 1}
    assert sum(event.session_id is None for event in result.enriched) == 3


def test_a_committed_draft_adds_its_events_in_no_session_to_the_figures() -> None:
    draft, statistics = Draft(META), TaskStatistics()
    for offset in range(2):
        result = step(record(offset, click("d1")), rules=ONLY_PAGEVIEWS)
        draft.add_step(1, result, encode_step(result))
    statistics.add(draft.counters, 0.0, None)
    assert (statistics.events_without_session, statistics.types_without_session) == (2, {"page_view": 2})


def test_more_than_half_of_a_thousand_events_is_logged_with_the_types() -> None:
    assert SessionShare().add(1_000, 501, {"page_view": 500, "ping": 1}) == EventsWithoutSession(
        events=1_000, without_session=501, types={"page_view": 500, "ping": 1}
    )
    assert SessionShare().add(1_000, 500, {"page_view": 500}) is None


def test_fewer_than_a_thousand_events_wait_for_the_next() -> None:
    share = SessionShare()
    assert share.add(999, 999, {"page_view": 999}) is None
    assert share.add(1, 0, {}) == EventsWithoutSession(
        events=1_000, without_session=999, types={"page_view": 999}
    )


def test_what_goes_on_is_logged_the_first_second_fourth_and_eighth_time() -> None:
    logged = [index for index, said in enumerate(windows(*[1.0] * 20), 1) if said]
    assert logged == [1, 2, 4, 8, 16]


def test_less_than_a_quarter_begins_again_and_a_share_about_a_half_does_not() -> None:
    assert windows(0.9, 0.9, 0.9, 0.24, 0.9) == [True, True, False, False, True]
    assert windows(0.9, 0.9, 0.9, 0.25, 0.9, 0.5, 0.9) == [True, True, False, False, True, False, False]


def test_each_window_counts_its_own_events_and_types() -> None:
    share = SessionShare()
    share.add(1_000, 1_000, {"page_view": 1_000})
    assert share.add(1_000, 600, {"ping": 600}) == EventsWithoutSession(
        events=1_000, without_session=600, types={"ping": 600}
    )


def test_five_types_are_named_the_most_frequent_first_and_none_at_length() -> None:
    counts = Counter({"b": 2, "a": 2, "x" * 500: 9, "x" * 40: 3, "c": 1, "d": 1})
    assert list(most_frequent(counts).items()) == [
        *(("x" * 39 + "…", 9), ("x" * 40, 3), ("a", 2), ("b", 2), ("c", 1))
    ]


def test_types_that_are_cut_to_the_same_text_are_counted_together() -> None:
    assert most_frequent(Counter({"x" * 50 + "1": 3, "x" * 50 + "2": 2})) == {"x" * 39 + "…": 5}


def test_types_without_number_take_no_memory_and_do_not_hide_the_frequent_one() -> None:
    counts: Counter[str] = Counter()
    for index in range(5_000):
        add_types(counts, {f"type-{index}": 1, "page_view": 2})
        assert len(counts) <= 2 * KEPT_TYPES
    assert next(iter(most_frequent(counts))) == "page_view"
    assert counts["page_view"] == 10_000
