"""Sessions equal the slow reference on every stream, and do not depend on the order of arrival."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import RawEvent, click, ms, record
from tests.enriching import step
from tests.properties.streams import Stream, enriched_json, in_one_call, streams
from tests.reference.enriching import Reference
from worker.model.rules import SessionRules
from worker.model.state import DeviceState, Session


@given(streams())
@settings(max_examples=600)
def test_the_core_equals_the_slow_reference(stream: Stream) -> None:
    reference = Reference(stream.options)
    result = in_one_call(stream)
    assert enriched_json(result) == reference.process(stream.batches)
    assert result.watermark_ms == (reference.watermark or 0)


@given(streams())
def test_what_is_remembered_equals_the_slow_reference(stream: Stream) -> None:
    reference = Reference(stream.options)
    reference.process(stream.batches)
    states = in_one_call(stream).states
    assert states.keys() == reference.devices.keys()
    for device_id, device in reference.devices.items():
        assert {remembered(session) for session in sessions_of(states[device_id])} == {
            (s["id"], s["number"], s["start"], s["end"], s["count"], s["client"]) for s in device["sessions"]
        }


@given(streams())
def test_what_is_remembered_is_bounded_and_its_newest_session_is_the_current_one(stream: Stream) -> None:
    for state in in_one_call(stream).states.values():
        sessions = sessions_of(state)
        assert len(sessions) <= stream.rules.remembered
        assert state.current is not None
        assert state.current.end_ms == max(session.end_ms for session in sessions)
        assert state.opened >= len(sessions)


@given(streams())
def test_assigned_sessions_never_lie_within_the_gap_of_each_other(stream: Stream) -> None:
    for state in in_one_call(stream).states.values():
        assigned = sorted((s.start_ms, s.end_ms) for s in sessions_of(state) if not s.client)
        for (_, end_ms), (start_ms, _) in pairwise(assigned):
            assert start_ms - end_ms > stream.rules.gap_ms


@st.composite
def shuffled_visits(draw: st.DrawFn) -> tuple[list[RawEvent], list[RawEvent]]:
    """One device's events in order of time, and in another order; no session named, no clock held."""
    minutes = draw(st.lists(st.integers(0, 300), min_size=1, max_size=14))
    ms_more = draw(st.lists(st.integers(-1, 1), min_size=len(minutes), max_size=len(minutes)))
    event_times = sorted(ms("10:00:00") + m * 60_000 + more for m, more in zip(minutes, ms_more, strict=True))
    in_order = [click("d1", at, id=str(number)) for number, at in enumerate(event_times)]
    return in_order, draw(st.permutations(in_order))


@given(shuffled_visits())
@settings(max_examples=400)
def test_every_order_of_arrival_gives_the_same_sessions(
    visits: tuple[list[RawEvent], list[RawEvent]],
) -> None:
    in_order, shuffled = visits
    nothing_forgotten = SessionRules(remembered=len(in_order))
    expected = by_the_definition_of_a_gap(in_order, nothing_forgotten.gap_ms)
    assert sessions_after(in_order, nothing_forgotten) == expected
    assert sessions_after(shuffled, nothing_forgotten) == expected


Grouping = set[tuple[int, int, int, frozenset[str]]]
"""Start, end, count and events' ids of each session."""


def by_the_definition_of_a_gap(in_order: list[RawEvent], gap_ms: int) -> Grouping:
    """Split where two neighbours in time lie further apart than the gap."""
    groups = [[in_order[0]]]
    for before, after in pairwise(in_order):
        if after["timestamp"] - before["timestamp"] > gap_ms:
            groups.append([])
        groups[-1].append(after)
    return {
        (g[0]["timestamp"], g[-1]["timestamp"], len(g), frozenset(event["id"] for event in g)) for g in groups
    }


def sessions_after(events: list[RawEvent], rules: SessionRules) -> Grouping:
    """The core's sessions after these events, one a record: what vanishes was merged into what was joined."""
    states: dict[str, DeviceState] = {}
    members: dict[str, set[str]] = {}
    for offset, event in enumerate(events):
        result = step(record(offset, event), states=states, rules=rules)
        (enriched,) = enriched_json(result)
        states = result.states
        joined = members.setdefault(enriched["session_id"], set())
        joined.add(event["id"])
        for merged_away in members.keys() - {session.id for session in sessions_of(states["d1"])}:
            joined |= members.pop(merged_away)
    return {
        (s.start_ms, s.end_ms, s.event_count, frozenset(members[s.id])) for s in sessions_of(states["d1"])
    }


def sessions_of(state: DeviceState) -> list[Session]:
    """All remembered sessions of a device."""
    assert state.current is not None
    return [state.current, *state.older]


def remembered(session: Session) -> tuple[str, int, int, int, int, bool]:
    """What the rules say of a session."""
    return (
        session.id,
        session.number,
        session.start_ms,
        session.end_ms,
        session.event_count,
        session.client,
    )
