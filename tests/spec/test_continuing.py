"""Which events go the short way: that what comes out is the same is a property test's to say."""

import pytest

from tests.builders import RawEvent, click, ms, record
from tests.enriching import DECODER, step
from worker.core.continuing import ShortWay
from worker.model.events import TIMESTAMP_LIMIT_MS, Event
from worker.model.outputs import EnrichedEvent
from worker.model.rules import Rules, SessionRules

RULES = Rules(session=SessionRules(event_types={"checkout": "end", "page_view": "normal"}))


def test_a_run_of_common_events_goes_the_short_way_whole() -> None:
    taken, left = short_way(
        click("d1", at="10:01:00"),
        click("d1", at="10:01:00", view="v1"),
        click("d1", at="10:02:00", user="ann"),
        click("d1", at="10:03:00", session="s1"),
        click("d1", at="10:33:00", view="v2"),
    )
    assert [event.event_number for event in taken] == [2, 3, 4, 5, 6]
    assert [event.user_source for event in taken] == ["device", "device", "event", "device", "device"]
    assert left is None


@pytest.mark.parametrize(
    "special",
    [
        pytest.param(click("d2", at="10:02:00"), id="another device"),
        pytest.param(click("d1", at="10:00:59.999"), id="out of order"),
        pytest.param(click("d1", at="10:31:00.001"), id="after the gap"),
        pytest.param(click("d1", at="10:02:00", session="s2"), id="another session named"),
        pytest.param(click("d1", at="10:02:00", user="bob"), id="another user"),
        pytest.param(click("d1", at="10:02:00", type="checkout"), id="a type that does something"),
    ],
)
def test_the_first_event_of_which_something_comes_is_left_to_the_rules_in_full(special: RawEvent) -> None:
    taken, left = short_way(click("d1", at="10:01:00"), special, click("d1", at="10:03:00"))
    assert len(taken) == 1
    assert left is not None
    assert left.timestamp == special["timestamp"]


def test_an_event_whose_time_must_be_held_is_left() -> None:
    ahead = click("d1", at="10:06:00.001")
    taken, left = short_way(click("d1", at="10:06:00"), ahead, limit_ms=ms("10:06:00"))
    assert len(taken) == 1
    assert left is not None


def test_nothing_goes_the_short_way_where_the_newest_session_is_closed() -> None:
    taken, left = short_way(click("d1", at="10:02:00"), before=[click("d1", at="10:01:00", type="checkout")])
    assert not taken
    assert left is not None


def short_way(
    *raw: RawEvent, before: list[RawEvent] | None = None, limit_ms: int = TIMESTAMP_LIMIT_MS
) -> tuple[list[EnrichedEvent], Event | None]:
    """What is taken of the events, and the first one left, of a device that ann has used in session s1."""
    known = step(click("d1", at="10:00:00", user="ann", session="s1"), *(before or []), rules=RULES.session)
    first, *following = DECODER.decode(record(0, list(raw)).value).events
    taken: list[EnrichedEvent] = []
    state = known.states["d1"].fork()
    left = ShortWay(RULES).take(first, iter(following), state, limit_ms, None, 0, taken)
    return taken, left
