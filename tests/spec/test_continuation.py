"""Which events are plain. A property test compares what comes of them with the rules in full."""

import pytest
from msgspec import Struct, structs

from tests.builders import RawEvent, click, ms, record
from tests.core_step import DECODER, step
from worker.core.continuation import Continuation
from worker.core.sessions import session_id
from worker.core.views import with_view
from worker.model.events import TIMESTAMP_LIMIT_MS, Event
from worker.model.outputs import EnrichedEvent
from worker.model.rules import Rules, SessionRules
from worker.model.state import DeviceState, EventRef

RULES = Rules(
    session=SessionRules(
        event_types={"checkout": "end", "logout": "unlink", "ping": "passive", "page_view": "normal"}
    )
)
ANN = click("d1", at="10:00:00", user="ann", session="s1")
NOBODY = click("d1", at="10:00:00")
LONGEST_MS = 3_600_000


class PlainRun(Struct):
    """What came of a run of events: the plain ones, the first one left, the state after."""

    enriched: list[EnrichedEvent]
    left: Event | None
    state: DeviceState


def test_a_run_of_plain_events_is_processed_whole() -> None:
    run = plain_run(
        click("d1", at="10:01:00"),
        click("d1", at="10:01:00", view="v1"),
        click("d1", at="10:02:00", user="ann"),
        click("d1", at="10:03:00", session="s1"),
        click("d1", at="10:33:00", view="v2"),
    )
    assert [event.event_number for event in run.enriched] == [2, 3, 4, 5, 6]
    assert sources_of_users(run) == ["device", "device", "event", "device", "device"]
    assert {(event.session_id, event.session_source) for event in run.enriched} == {("s1", "client")}
    assert run.left is None


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
def test_the_first_event_that_is_not_plain_is_left_to_the_rules_in_full(special: RawEvent) -> None:
    run = plain_run(click("d1", at="10:01:00"), special, click("d1", at="10:03:00"))
    assert len(run.enriched) == 1
    assert run.left is not None
    assert run.left.timestamp == special["timestamp"]


def test_an_event_whose_time_must_be_held_is_left() -> None:
    ahead = click("d1", at="10:06:00.001")
    run = plain_run(click("d1", at="10:06:00"), ahead, limit_ms=ms("10:06:00"))
    assert how_many(run) == (1, 1)


def test_nothing_is_plain_where_the_newest_session_is_closed() -> None:
    ended = click("d1", at="10:01:00", type="checkout")
    assert how_many(plain_run(click("d1", at="10:02:00"), before=[ANN, ended])) == (0, 1)


def test_nothing_is_plain_before_a_first_session() -> None:
    counted = click("d1", at="10:00:00", type="ping")
    assert how_many(plain_run(click("d1", at="10:00:00"), before=[counted])) == (0, 1)


def test_an_event_of_which_nothing_is_left_changes_nothing() -> None:
    assert plain_run(click("d1", at="09:00:00")).state == state_after(ANN)


# --- whose it is, and whose session ---


def test_events_of_a_device_without_user_are_nobodys() -> None:
    run = plain_run(click("d1", at="10:10:00"), click("d1", at="10:40:00"), before=[NOBODY])
    assert sources_of_users(run) == [None, None]
    assert [event.session_source for event in run.enriched] == ["assigned", "assigned"]


def test_the_first_user_of_a_device_is_left_to_the_rules_in_full() -> None:
    assert how_many(plain_run(click("d1", at="10:01:00", user="ann"), before=[NOBODY])) == (0, 1)


def test_the_devices_user_may_come_into_a_session_that_has_none() -> None:
    run = plain_run(
        click("d1", at="11:00:00"),
        click("d1", at="11:01:00", user="ann"),
        click("d1", at="11:02:00"),
        click("d1", at="11:03:00", user="ann"),
        before=[ANN, click("d1", at="11:00:00")],
    )
    assert sources_of_users(run) == ["device", "event", "device", "event"]
    assert [event.user_id for event in run.enriched] == ["ann"] * 4
    assert run.state.current is not None
    assert run.state.current.user_id == "ann"
    assert run.state.current.user_at_ms == ms("11:03:00")


def test_the_devices_user_is_left_where_the_session_is_still_anothers() -> None:
    bobs = click("d1", at="10:00:00", user="bob", session="s1")
    anns = click("d1", at="10:05:00", user="ann", session="s2")
    again = click("d1", at="10:06:00", session="s1")
    hers = click("d1", at="10:07:00", user="ann", session="s1")
    assert how_many(plain_run(hers, before=[bobs, anns, again])) == (0, 1)


def test_the_first_event_after_a_logout_is_left_and_those_that_follow_it_are_nobodys() -> None:
    logout = click("d1", at="10:01:00", type="logout")
    first, second = click("d1", at="10:02:00"), click("d1", at="10:03:00")
    assert how_many(plain_run(first, second, before=[ANN, logout])) == (0, 1)
    assert sources_of_users(plain_run(second, before=[ANN, logout, first])) == [None]


def test_a_login_in_the_very_last_millisecond_of_the_session_is_in_force() -> None:
    login = click("d1", at="10:01:00", user="bob")
    assert [
        event.user_id for event in plain_run(click("d1", at="10:01:00"), before=[ANN, login]).enriched
    ] == ["bob"]


def test_an_assigned_session_is_the_clients_own_from_the_event_that_names_it() -> None:
    own = session_id("d1", ms("10:00:00"), 1)
    run = plain_run(
        click("d1", at="10:01:00"),
        click("d1", at="10:02:00", session=own),
        click("d1", at="10:03:00"),
        before=[NOBODY],
    )
    assert [event.session_source for event in run.enriched] == ["assigned", "client", "client"]
    assert run.state.current is not None
    assert run.state.current.client


# --- what is remembered of it ---


def test_state_and_session_are_as_of_the_last_event_of_the_run() -> None:
    before = state_after(ANN, click("d1", at="10:00:30", view="v1"))
    state = plain_run(
        click("d1", at="10:01:00", view="v1"),
        click("d1", at="10:02:00", view="v2", user="ann"),
        click("d1", at="10:03:00", view="v1"),
        click("d1", at="10:04:00", view="v1"),
        click("d1", at="10:05:00", id="last", type="scroll"),
        before=[ANN, click("d1", at="10:00:30", view="v1")],
    ).state
    assert before.current is not None
    session = structs.replace(
        before.current,
        end_ms=ms("10:05:00"),
        event_count=7,
        touched=7,
        views=with_view(before.current.views, "v2"),
        user_at_ms=ms("10:02:00"),
        last=EventRef(ms("10:05:00"), "last", "scroll"),
    )
    assert state == structs.replace(before, newest_ms=ms("10:05:00"), event_count=7, current=session)


def test_a_device_counts_the_events_of_all_its_sessions() -> None:
    state = plain_run(click("d1", at="11:01:00"), before=[ANN, click("d1", at="11:00:00")]).state
    assert state.current is not None
    assert (state.event_count, state.current.event_count, state.current.touched) == (3, 2, 3)


# --- how far it goes ---


def test_a_passive_event_moves_the_devices_newest_time_and_not_the_sessions_end() -> None:
    ping = click("d1", at="10:20:00", type="ping")
    assert how_many(plain_run(click("d1", at="10:19:59.999"), before=[ANN, ping])) == (0, 1)
    assert how_many(plain_run(click("d1", at="10:20:00"), before=[ANN, ping])) == (1, 0)
    assert how_many(plain_run(click("d1", at="10:30:00"), before=[ANN, ping])) == (1, 0)
    assert how_many(plain_run(click("d1", at="10:30:00.001"), before=[ANN, ping])) == (0, 1)


def test_where_devices_expire_within_the_gap_no_later_event_is_plain() -> None:
    rules = structs.replace(RULES, retention_ms=60_000)
    run = [click("d1", at="10:01:00"), click("d1", at="10:02:00"), click("d1", at="10:03:00.001")]
    assert how_many(plain_run(*run, rules=rules)) == (2, 1)


def test_an_assigned_session_goes_on_to_its_greatest_duration_and_a_clients_own_beyond() -> None:
    rules = Rules(session=SessionRules(max_duration_ms=LONGEST_MS))
    run = [click("d1", at="10:30:00"), click("d1", at="11:00:00"), click("d1", at="11:00:00.001")]
    assert how_many(plain_run(*run, before=[NOBODY], rules=rules)) == (2, 1)
    assert how_many(plain_run(*run, before=[ANN], rules=rules)) == (3, 0)


def test_a_time_that_must_be_held_is_left_also_where_the_session_may_last_longer() -> None:
    rules = Rules(session=SessionRules(max_duration_ms=LONGEST_MS))
    run = [click("d1", at="10:06:00"), click("d1", at="10:06:00.001")]
    assert how_many(plain_run(*run, before=[NOBODY], rules=rules, limit_ms=ms("10:06:00"))) == (1, 1)


def test_an_event_is_left_that_has_to_set_the_timer_by_which_its_session_is_published_at_its_close() -> None:
    run = [click("d1", at="10:01:00"), click("d1", at="10:02:00")]
    silent = structs.replace(RULES, publish_sessions=False)
    assert how_many(plain_run(*run, published_before=False)) == (0, 1)
    assert how_many(plain_run(*run, published_before=False, rules=silent)) == (2, 0)
    assert how_many(plain_run(*run, rules=silent)) == (2, 0)


def plain_run(
    *raw: RawEvent,
    before: list[RawEvent] | None = None,
    rules: Rules = RULES,
    limit_ms: int = TIMESTAMP_LIMIT_MS,
    published_before: bool = True,
) -> PlainRun:
    """The events as a run of plain ones, after those ``before``: by default one of ann in session s1."""
    first, *following = DECODER.decode(record(0, list(raw)).value).events
    state = state_after(*(before or [ANN]), rules=rules)
    if not published_before:
        state.close_at_ms = 0  # as the rules leave it that publish no sessions
    run = PlainRun([], None, state)
    run.left = Continuation(rules, run.enriched).extend_session(first, iter(following), state, limit_ms, None)
    return run


def state_after(*raw: RawEvent, rules: Rules = RULES) -> DeviceState:
    """A fork of what the events leave, by the rules in full."""
    return step(*raw, rules=rules.session).states["d1"].fork()


def how_many(run: PlainRun) -> tuple[int, int]:
    """How many were plain, and whether one was left."""
    return len(run.enriched), int(run.left is not None)


def sources_of_users(run: PlainRun) -> list[str | None]:
    """How each event's user was found."""
    return [event.user_source for event in run.enriched]
