"""What the demo takes for a session at the end of its run: all its events, whatever was last published."""

import msgspec

from tests.builders import RawEvent, Record, click, ms, record
from tests.core_step import step
from worker.core.encode import encode_step
from worker.demo.final_sessions import FinalSession, final_sessions
from worker.demo.run import last_of_each
from worker.model.outputs import EnrichedEvent, SessionRecord
from worker.model.rules import SessionRules
from worker.model.state import DeviceState

MAX_FUTURE_MS = 300_000
RULES = SessionRules(event_types={"bye": "end"})


def at_the_end(*raw: RawEvent) -> list[FinalSession]:
    """Each event in a transaction of its own: of an open session only its first event is published."""
    states: dict[str, DeviceState] = {}
    enriched: list[EnrichedEvent] = []
    published: list[Record] = []
    for offset, event in enumerate(raw):
        result = step(record(offset, event, received_at="12:00:00"), states=states, rules=RULES)
        states.update(result.states)
        enriched += result.enriched
        for key, value, _ in encode_step(result)["sessions"]:
            published.append(record(offset, value, key=(key or b"").decode()))
    rows = [msgspec.json.decode(row.value or b"", type=SessionRecord) for row in last_of_each(published)]
    return final_sessions(enriched, rows, MAX_FUTURE_MS)


def test_an_open_session_has_all_of_its_events() -> None:
    (session,) = at_the_end(click("d1", "10:00:00"), click("d1", "10:05:00"), click("d1", "10:20:00"))
    assert session == FinalSession(ms("10:00:00"), ms("10:20:00"), 3, is_open=True)
    assert session.duration_ms == 20 * 60_000


def test_events_of_a_merged_session_count_in_the_one_that_it_belongs_to_in_the_end() -> None:
    times = ("11:00:00", "10:25:00", "09:50:00", "10:00:00", "10:40:00")
    (session,) = at_the_end(*(click("d1", at) for at in times))
    assert session == FinalSession(ms("09:50:00"), ms("11:00:00"), 5, is_open=True)


def test_two_devices_that_use_the_same_id_have_a_session_each() -> None:
    first, second = at_the_end(click("d1", session="s"), click("d2", session="s"), click("d2", session="s"))
    assert (first.event_count, second.event_count) == (1, 2)


def test_a_clock_that_is_ahead_is_held_as_the_rules_hold_it() -> None:
    (session,) = at_the_end(click("d1", "11:59:00"), click("d1", "17:00:00"))
    assert session.end_ms == ms("12:05:00")


def test_an_event_without_a_session_is_in_none() -> None:
    assert final_sessions([EnrichedEvent("e1", "ping", "d1", ms("10:00:00"))], [], MAX_FUTURE_MS) == []


def test_a_session_is_open_where_its_last_record_says_so() -> None:
    ended, going_on = at_the_end(click("d1", type="bye"), click("d1", "10:01:00"), click("d1", "10:02:00"))
    assert (ended.is_open, going_on.is_open) == (False, True)
