"""Sessions equal the slow reference on every stream, and do not depend on the order of arrival."""

import hashlib
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import RawEvent, click, ms, record
from tests.core_step import step
from tests.properties.streams import (
    Stream,
    any_streams,
    enriched_json,
    in_one_call,
    sessions_of,
)
from tests.reference.events import Reference
from tests.reference.identity import known_since
from worker.core.identity import MAX_LINKS
from worker.model.rules import SessionRules
from worker.model.state import DeviceState, Session


@given(any_streams())
def test_the_core_equals_the_slow_reference(stream: Stream) -> None:
    reference = Reference(stream.options)
    result = in_one_call(stream)
    assert enriched_json(result) == reference.process(stream.batches)
    assert result.watermark_ms == (reference.watermark or 0)


@given(any_streams())
def test_what_is_remembered_equals_the_slow_reference(stream: Stream) -> None:
    reference = Reference(stream.options)
    reference.process(stream.batches)
    states = in_one_call(stream).states
    assert states.keys() == reference.devices.keys()
    for device_id, device in reference.devices.items():
        state = states[device_id]
        assert state.newest_ms == device["newest"]
        assert [(link.since_ms, link.user_id) for link in state.timeline.links] == device["timeline"].links
        assert state.timeline.since_ms == (known_since(device["timeline"]) or 0)
        assert state.recent_ids == b"".join(
            hashlib.blake2b(id_.encode(), digest_size=8).digest() + t.to_bytes(6, "big")
            for id_, t in device["recent"]
        )
        assert {facts_of(session) for session in sessions_of(state)} == {
            (
                s["id"],
                s["number"],
                s["start"],
                s["end"],
                s["client"],
                s["fixed_start"],
                s["ended"],
                s["count"],
                s["passive"],
                len(s["views"]),
                s["user"],
            )
            for s in device["sessions"]
        }


@given(any_streams())
def test_what_is_remembered_is_bounded_and_its_newest_session_is_the_current_one(stream: Stream) -> None:
    for state in in_one_call(stream).states.values():
        sessions = sessions_of(state)
        assert len(sessions) <= stream.rules.remembered
        assert len(sessions) <= state.opened
        assert len(state.timeline.links) <= MAX_LINKS
        for session in sessions:
            assert state.current is not None
            assert session.end_ms <= state.current.end_ms


@given(any_streams())
def test_assigned_sessions_lie_within_the_gap_of_each_other_only_where_something_keeps_them_apart(
    stream: Stream,
) -> None:
    limit_ms = stream.rules.max_duration_ms
    for state in in_one_call(stream).states.values():
        assigned = sorted(
            (s for s in sessions_of(state) if not s.client), key=lambda s: (s.start_ms, s.number)
        )
        for earlier, later in combinations(assigned, 2):
            end_ms = max(earlier.end_ms, later.end_ms)
            assert (
                later.start_ms - earlier.end_ms > stream.rules.gap_ms
                or later.fixed_start
                or (earlier.fixed_start and earlier.start_ms == later.start_ms)
                or any(session.ended and session.end_ms < end_ms for session in (earlier, later))
                or 0 < limit_ms < end_ms - earlier.start_ms
            )


@given(any_streams())
def test_no_assigned_session_is_longer_than_the_limit(stream: Stream) -> None:
    limit_ms = stream.rules.max_duration_ms
    for state in in_one_call(stream).states.values():
        for session in sessions_of(state):
            assert session.client or not limit_ms or session.end_ms - session.start_ms <= limit_ms


@st.composite
def shuffled_visits(draw: st.DrawFn) -> tuple[list[RawEvent], list[RawEvent]]:
    """One device's events in order of time, and in another order; no session named, no clock held."""
    minutes = draw(st.lists(st.integers(0, 300), min_size=1, max_size=14))
    ms_more = draw(st.lists(st.integers(-1, 1), min_size=len(minutes), max_size=len(minutes)))
    event_times = sorted(ms("10:00:00") + m * 60_000 + more for m, more in zip(minutes, ms_more, strict=True))
    in_order = [click("d1", at, id=str(number)) for number, at in enumerate(event_times)]
    return in_order, draw(st.permutations(in_order))


@given(shuffled_visits())
def test_every_order_of_arrival_gives_the_same_sessions(
    visits: tuple[list[RawEvent], list[RawEvent]],
) -> None:
    in_order, shuffled = visits
    nothing_evicted = SessionRules(remembered=len(in_order))
    expected = by_the_definition_of_a_gap(in_order, nothing_evicted.gap_ms)
    assert sessions_after(in_order, nothing_evicted) == expected
    assert sessions_after(shuffled, nothing_evicted) == expected


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


def facts_of(session: Session) -> tuple[str, int, int, int, bool, bool, bool, int, int, int, str | None]:
    """What the rules say of a session."""
    return (
        session.id,
        session.number,
        session.start_ms,
        session.end_ms,
        session.client,
        session.fixed_start,
        session.ended,
        session.event_count,
        session.passive_count,
        len(session.views),
        session.user_id,
    )
