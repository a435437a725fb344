"""The files of config/examples, each by a few events to which its rules do what the defaults do not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.builders import RawEvent, click
from tests.core_step import DEFAULTS, enriched
from worker.config import Config, load
from worker.model.rules import SessionRules

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.toml"))


def example(name: str) -> SessionRules:
    return load(ROOT / "config" / "examples" / f"{name}.toml", {}).session


def sessions(story: Sequence[RawEvent], rules: SessionRules) -> list[int | None]:
    """Each event's session, by number."""
    return [event.session_number for event in enriched(*story, rules=rules)]


def users(story: Sequence[RawEvent], rules: SessionRules) -> list[str | None]:
    return [event.user_id for event in enriched(*story, rules=rules)]


def day(*events: tuple[str, str] | tuple[str, str, str]) -> list[RawEvent]:
    """One device's events, each (time, type) or (time, type, user)."""
    return [click("d1", f"{at}:00", type=kind, user=user[0] if user else None) for at, kind, *user in events]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_changes_something_and_loads_without_a_warning(path: Path) -> None:
    config = load(path, {})
    assert config.session != Config().session


def test_there_is_no_example_without_a_story() -> None:
    assert [path.stem for path in EXAMPLES] == ["mobile", "strict", "web"]


# --- web: only page views make and extend sessions ---


def test_web_a_heartbeat_does_not_keep_a_session_alive() -> None:
    story = day(("10:00", "pageview"), ("10:20", "heartbeat"), ("10:40", "heartbeat"), ("11:00", "pageview"))
    assert sessions(story, DEFAULTS) == [1, 1, 1, 1]
    assert sessions(story, example("web")) == [1, 1, None, 2]


def test_web_events_beside_page_views_are_counted_in_their_session() -> None:
    story = day(("10:00", "pageview"), ("10:01", "scroll"), ("10:02", "click"), ("10:03", "pageview"))
    assert [event.event_number for event in enriched(*story, rules=example("web"))] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["pageview", "page_view"])
def test_web_page_views_of_either_usual_name_make_sessions(name: str) -> None:
    story = day(("10:00", name), ("10:20", "heartbeat"), ("11:00", name))
    assert sessions(story, example("web")) == [1, 1, 2]


def test_web_where_page_views_have_another_name_nothing_opens_a_session() -> None:
    story = day(("10:00", "screen_view"), ("10:01", "scroll"), ("10:02", "screen_view"))
    assert sessions(story, example("web")) == [None, None, None]


def test_web_an_event_outside_any_session_has_its_user_all_the_same() -> None:
    story = day(("10:00", "pageview", "ann"), ("15:00", "video_progress"))
    (_, late) = enriched(*story, rules=example("web"))
    assert (late.session_id, late.user_id) == (None, "ann")


# --- mobile: the servers speak too, the app says when it starts ---


def test_mobile_a_push_at_night_is_no_visit() -> None:
    story = day(("22:00", "screen"), ("26:00", "push_delivered"), ("31:00", "screen"))
    assert sessions(story, DEFAULTS) == [1, 2, 3]
    assert sessions(story, example("mobile")) == [1, None, 2]


def test_mobile_a_start_of_the_app_opens_a_session_however_short_the_pause() -> None:
    story = day(("10:00", "app_open"), ("10:01", "screen"), ("10:02", "app_open"), ("10:03", "screen"))
    assert sessions(story, DEFAULTS) == [1, 1, 1, 1]
    assert sessions(story, example("mobile")) == [1, 1, 2, 2]


def test_mobile_five_minutes_part_two_sessions() -> None:
    story = day(("10:00", "screen"), ("10:05", "screen"), ("10:11", "screen"))
    assert sessions(story, example("mobile")) == [1, 1, 2]


def test_mobile_after_a_logout_the_device_is_nobody_s() -> None:
    story = day(("10:00", "screen", "ann"), ("10:01", "logout"), ("10:02", "screen"))
    assert users(story, DEFAULTS) == ["ann", "ann", "ann"]
    assert users(story, example("mobile")) == ["ann", "ann", None]


def test_mobile_a_week_sent_at_once_out_of_order_keeps_its_sessions_together() -> None:
    mornings = day(*[(f"{24 * number + 8}:00", "screen") for number in range(7)])
    evenings = day(*[(f"{24 * number + 8}:03", "screen") for number in range(7)])
    assert len(set(sessions([*mornings, *evenings], DEFAULTS))) > 7
    assert sessions([*mornings, *evenings], example("mobile")) == [*range(1, 8), *range(1, 8)]


# --- strict: one person, one sitting ---


def test_strict_a_session_never_holds_two_users() -> None:
    story = day(
        ("10:00", "view", "ann"), ("10:05", "view", "bob"), ("10:10", "view"), ("10:15", "view", "ann")
    )
    assert sessions(story, DEFAULTS) == [1, 1, 1, 1]
    assert sessions(story, example("strict")) == [1, 2, 2, 3]


def test_strict_a_late_event_of_another_user_is_beside_the_session_that_goes_on() -> None:
    story = day(
        ("10:00", "view", "ann"), ("10:20", "view", "ann"), ("10:10", "view", "bob"), ("10:25", "view")
    )
    assert sessions(story, DEFAULTS) == [1, 1, 1, 1]
    assert sessions(story, example("strict")) == [1, 1, 2, 1]


def test_strict_a_login_in_the_middle_of_an_anonymous_visit_parts_nothing() -> None:
    story = day(("10:00", "view"), ("10:05", "login", "ann"), ("10:10", "view", "ann"))
    assert sessions(story, example("strict")) == [1, 1, 1]


def test_strict_no_session_lasts_longer_than_four_hours() -> None:
    story = day(*[(f"{10 + minutes // 60}:{minutes % 60:02}", "view") for minutes in range(0, 301, 20)])
    found = enriched(*story, rules=example("strict"))
    lasts: dict[Any, int] = {}
    for event in found:
        assert event.session_start is not None
        lasts[event.session_id] = event.timestamp - event.session_start
    assert sorted(lasts.values()) == [40 * 60_000, 4 * 3_600_000]
    assert len(set(sessions(story, DEFAULTS))) == 1


def test_strict_after_a_logout_nothing_is_booked_on_who_was_there_before() -> None:
    story = day(("10:00", "view", "ann"), ("10:01", "logout"), ("10:02", "view"))
    assert users(story, example("strict")) == ["ann", "ann", None]


# --- the word that the examples need ---


def test_normal_excepts_a_type_from_what_the_star_says() -> None:
    story = day(("10:00", "a"), ("10:10", "b"))
    assert sessions(story, SessionRules(event_types={"*": "passive", "b": "normal"})) == [None, 1]
    assert sessions(story, SessionRules(event_types={"*": "normal", "b": "start"})) == [1, 2]


def test_normal_for_every_type_is_as_if_nothing_were_said() -> None:
    story = day(("10:00", "a", "ann"), ("10:10", "b", "bob"), ("10:05", "a"), ("11:00", "c"))
    rules = SessionRules(event_types={"*": "normal"})
    assert enriched(*story, rules=rules) == enriched(*story)
