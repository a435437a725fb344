"""Sessions equal the slow reference on every stream, and do not depend on the order of arrival."""

import hashlib
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

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
from worker.core.closing import close_expired
from worker.core.identity import MAX_LINKS
from worker.core.session_changes import SessionChanges
from worker.core.views import view_count
from worker.model.rules import Rules, SessionRules
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
                or (stream.rules.split_on_user_change and len({earlier.user_id, later.user_id, None}) == 3)
            )


@given(any_streams())
def test_no_assigned_session_is_longer_than_the_limit(stream: Stream) -> None:
    limit_ms = stream.rules.max_duration_ms
    for state in in_one_call(stream).states.values():
        for session in sessions_of(state):
            assert session.client or not limit_ms or session.end_ms - session.start_ms <= limit_ms


@given(any_streams())
def test_where_another_user_splits_no_session_without_named_events_holds_two_users(stream: Stream) -> None:
    rules = structs.replace(stream.rules, split_on_user_change=True)
    # A device that expired may make the same id for the same time again.
    result = in_one_call(structs.replace(stream, rules=rules, retention_ms=Rules().retention_ms))
    named = {event["id"] for batch in stream.batches for event in batch["events"] if "session_id" in event}
    merged_into = {
        (s.device_id, s.session_id): s.merged_into for s in result.sessions if s.merged_into is not None
    }
    users: dict[tuple[str, str], set[str]] = {}
    with_named = set()
    for event in result.enriched:
        if event.session_id is None:
            continue
        key = event.device_id, event.session_id
        while key in merged_into:
            key = event.device_id, merged_into[key]
        if event.id in named:
            with_named.add(key)
        elif event.user_id is not None and event.user_source == "event":
            users.setdefault(key, set()).add(event.user_id)
    assert all(len(found) == 1 for key, found in users.items() if key not in with_named)


ORDER = SessionRules(event_types={"ping": "passive"}, bounce_ms=1_800_000)
"""What the promise about orders holds under: no named sessions, no limits, nothing evicted."""


@st.composite
def shuffled_visits(draw: st.DrawFn) -> tuple[list[RawEvent], list[RawEvent]]:
    """One device's events in order of time, and in another order; no session named, no clock held.

    A passive event comes after all that are not, or after one of its own time.
    """
    minutes = draw(st.lists(st.integers(0, 300), min_size=1, max_size=14))
    ms_more = draw(st.lists(st.integers(-1, 1), min_size=len(minutes), max_size=len(minutes)))
    event_times = sorted(ms("10:00:00") + m * 60_000 + more for m, more in zip(minutes, ms_more, strict=True))
    views = draw(st.lists(st.sampled_from([None, "v1", "v2", "v3"]), min_size=15, max_size=15))
    active = [
        click("d1", at, id=str(n), view=view)
        for n, (at, view) in enumerate(zip(event_times, views, strict=False))
    ]
    shuffled = draw(st.permutations(active))
    beside = draw(st.lists(st.sampled_from(active), max_size=3))
    pings = [
        click("d1", event["timestamp"], id=f"beside-{n}", type="ping", view=f"ping-{n}")
        for n, event in enumerate(beside)
    ]
    for event, ping in zip(beside, pings, strict=True):
        shuffled.insert(draw(st.integers(shuffled.index(event) + 1, len(shuffled))), ping)
    last = [
        click("d1", ms("10:00:00") + minute * 60_000, id=f"last-{n}", type="ping", view="ping")
        for n, minute in enumerate(draw(st.lists(st.integers(-40, 340), max_size=3)))
    ]
    return active + pings + last, shuffled + draw(st.permutations(last))


@given(shuffled_visits())
def test_every_order_of_arrival_gives_the_same_sessions(
    visits: tuple[list[RawEvent], list[RawEvent]],
) -> None:
    in_order, shuffled = visits
    nothing_evicted = structs.replace(ORDER, remembered=len(in_order))
    expected = by_the_definition_of_a_gap(in_order, nothing_evicted)
    assert sessions_after(in_order, nothing_evicted) == expected
    assert sessions_after(shuffled, nothing_evicted) == expected


Figures = tuple[int, int, int, int, int, bool, frozenset[str]]
"""Start, end, events, active ones, views, whether it is a bounce, and the events' ids of a session."""


def by_the_definition_of_a_gap(in_order: list[RawEvent], rules: SessionRules) -> set[Figures]:
    """Split where two neighbours in time lie further apart than the gap; passive ones go to the nearest."""
    active = [event for event in in_order if event["type"] != "ping"]
    groups = [[active[0]]]
    for before, after in pairwise(active):
        if after["timestamp"] - before["timestamp"] > rules.gap_ms:
            groups.append([])
        groups[-1].append(after)
    spans = [(group[0]["timestamp"], group[-1]["timestamp"]) for group in groups]
    for ping in in_order[len(active) :]:
        t = ping["timestamp"]
        distances = [max(start - t, t - end, 0) for start, end in spans]
        nearest = min(distances)
        if nearest <= rules.gap_ms:
            groups[max(n for n, distance in enumerate(distances) if distance == nearest)].append(ping)
    return {figures_of(start, end, group, rules) for (start, end), group in zip(spans, groups, strict=True)}


def figures_of(start: int, end: int, group: list[RawEvent], rules: SessionRules) -> Figures:
    """What its events make of a session."""
    active = [event for event in group if event["type"] != "ping"]
    views = {event["view_id"] for event in active if "view_id" in event}
    is_bounce = len(active) == 1 or end - start < rules.bounce_ms
    ids = frozenset(event["id"] for event in group)
    return start, end, len(group), len(active), len(views), is_bounce, ids


def sessions_after(events: list[RawEvent], rules: SessionRules) -> set[Figures]:
    """The core's sessions after these events, one a record, as they are published when they have closed.

    What vanishes was merged into what was joined.
    """
    states: dict[str, DeviceState] = {}
    members: dict[str, set[str]] = {}
    for offset, event in enumerate(events):
        result = step(record(offset, event), states=states, rules=rules)
        (enriched,) = enriched_json(result)
        states = result.states
        if "session_id" not in enriched:
            continue
        joined = members.setdefault(enriched["session_id"], set())
        joined.add(event["id"])
        for merged_away in members.keys() - {session.id for session in sessions_of(states["d1"])}:
            joined |= members.pop(merged_away)
    state = states["d1"].fork()
    for session in sessions_of(state):
        session.closed = None  # each is published once more
    rows = close_expired("d1", state, Rules(session=rules), SessionChanges())
    return {
        (
            row.start,
            row.end,
            row.event_count,
            row.active_count,
            row.view_count,
            row.is_bounce,
            frozenset(members[row.session_id]),
        )
        for row in rows
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
        view_count(session.views),
        session.user_id,
    )
