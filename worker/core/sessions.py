"""Which session an event belongs to, why a session opens, and its id.

Knows one device's remembered sessions, the event and its held time; no clock, no other device, no
transaction. Everything is a function of the device's events in their order of arrival. Invariants:
``state.current`` is the session with the greatest end; no two remembered assigned sessions lie within the gap
of each other unless a client session, an event type or a limit kept them apart; a session's id never changes,
also when its start moves back.

Rules: docs/sessions.md. The common event does not come here: ``core.continuation``.
"""

from copy import copy
from hashlib import blake2b
from operator import attrgetter

from worker.core.session_changes import SessionChanges, close, due_among
from worker.core.session_merging import merge_neighbours
from worker.core.views import with_view
from worker.model.events import Event
from worker.model.outputs import SessionCause
from worker.model.rules import EventAction, SessionRules
from worker.model.state import DeviceState, EventRef, Session

_by_end = attrgetter("end_ms", "start_ms", "number")
_by_touch = attrgetter("touched")
_48_BITS = (1 << 48) - 1
_VARIANTS = {f"{digit:x}": "89ab"[digit & 3] for digit in range(16)}  # the first two bits are 10


def action_of(event_type: str, rules: SessionRules) -> EventAction | None:
    """What an event of that type does besides; None for nothing."""
    action = rules.event_types.get(event_type) or rules.event_types.get("*")
    return None if action == "normal" else action


def is_late(behind_ms: int, rules: SessionRules) -> bool:
    """Whether an event is late that is older by so much than its device's newest one."""
    return behind_ms > rules.gap_ms + rules.grace_ms


def add_to_session(
    state: DeviceState,
    event: Event,
    t_ms: int,
    rules: SessionRules,
    watermark_ms: int,
    changes: SessionChanges,
) -> tuple[Session | None, SessionCause | None]:
    """Add the event to a session of ``state`` (a fork, changed in place) and return that session.

    The second value is the cause when the event opened the session, else None. The first is None for a
    passive event outside any session. ``state.newest_ms`` and ``state.event_count`` are those before the
    event. Sessions that are to be published because of it are added to ``changes``, the close of an old one
    before the opening of a new one. ``watermark_ms`` only tells which sessions are due to close before
    another opens; it moves no membership and no id. Never raises.
    """
    action = action_of(event.type, rules) if rules.event_types else None
    # The newest first: a client may name an id before the worker makes it, and two sessions then bear it.
    sessions = [state.current, *state.older] if state.current is not None else []
    if event.session_id is not None:
        target = _named(sessions, event.session_id)
        cause: SessionCause | None = "client" if target is None else None
    else:
        target, cause = _place(state, sessions, event, t_ms, action, rules)
        if action == "passive":
            return None if target is None else _count(state, target, event, t_ms, rules, changes), None
        if cause is not None and target is not None:
            closed = _own(state, sessions, target)
            close(closed, "max_duration" if cause == "max_duration" else "superseded", changes)
    if cause is not None or target is None:
        for due in due_among(sessions, watermark_ms, rules):
            close(_own(state, sessions, due), "inactivity", changes)
        # Not where it opens beside others' sessions: older events of its user may come after it.
        fixed_start = cause == "event_type" or target is not None
        session, cause = _open(state, event, t_ms, cause or "gap", rules, fixed_start=fixed_start)
        sessions.append(session)
        changes.add(session)
    else:
        session = _extend(state, sessions, target, event, t_ms, changes)
    if action == "passive":  # it joined by its session id
        session.passive_count += 1
    elif event.view_id is not None:
        session.views = with_view(session.views, event.view_id)
    if action == "end":
        session.ended = True
        close(session, "end_event", changes)
    merged = merge_neighbours(sessions, session, rules, changes) if event.session_id is None else None
    if merged is not None:
        session = merged
        state.cold_changed = True
    elif not _is_current(state, session):
        state.cold_changed = True
    elif session.start_ms < t_ms:  # its start has not moved: it is the newest still, the others are as before
        return session, cause
    _evict(state, sessions, session, rules.remembered, changes)
    return session, cause


def _is_current(state: DeviceState, session: Session) -> bool:
    """Whether it is the device's newest session, the fork's own. Numbers are unique among remembered ones."""
    return state.current is not None and session.number == state.current.number


def _distance_ms(session: Session, t_ms: int) -> int:
    """How far ``t_ms`` lies outside the session; 0 inside it, both ends included."""
    return max(t_ms - session.end_ms, session.start_ms - t_ms, 0)


def _named(sessions: list[Session], name: str) -> Session | None:
    for session in sessions:
        if session.id == name:
            return session
    return None


def _place(
    state: DeviceState,
    sessions: list[Session],
    event: Event,
    t_ms: int,
    action: EventAction | None,
    rules: SessionRules,
) -> tuple[Session | None, SessionCause | None]:
    """The session that an event without id joins, and why it opens one although one is in reach.

    With a cause the session, if any, is the one in whose place another opens. Neither: none is in reach. A
    passive event joins or does not, whatever the cause.
    """
    gap_ms = rules.gap_ms
    # A gap of exactly gap_ms continues (as Kafka Streams); gap_ms + 1 opens.
    reach = [
        s for s in sessions if s.start_ms - gap_ms <= t_ms <= s.end_ms + gap_ms and _may_join(s, t_ms, action)
    ]
    cause: SessionCause | None = "event_type" if action == "start" else None
    own_user = event.user_id
    if rules.split_on_user_change and own_user is not None and reach:
        free = [s for s in reach if s.user_id is None or s.user_id == own_user]
        nearest = _nearest(reach, t_ms) if t_ms >= state.newest_ms and action != "passive" else None
        if nearest is not None and nearest.user_id not in (None, own_user):
            return nearest, cause or "user_changed"
        if not free:  # it is beside the session of another, which goes on
            return None, cause or "user_changed"
        reach = free
    if rules.max_duration_ms and action != "passive":
        # One that the event would make too long only where no other is in reach.
        reach = [s for s in reach if not _too_long(s, t_ms, rules)] or reach
    target = _nearest(reach, t_ms)
    if cause is None and target is not None and _too_long(target, t_ms, rules):
        cause = "max_duration"
    return target, cause


def _nearest(reach: list[Session], t_ms: int) -> Session | None:
    """The session that contains ``t_ms``, else the nearest; equal: starts later, then opened later."""
    if len(reach) < 2:
        return reach[0] if reach else None
    return min(reach, key=lambda s: (_distance_ms(s, t_ms), -s.start_ms, -s.number))


def _may_join(session: Session, t_ms: int, action: EventAction | None) -> bool:
    """Whether what event types have decided lets an event without id into this session."""
    if t_ms < session.start_ms and (session.fixed_start or action == "end"):
        return False
    # A passive event moves no end, and a further end event may.
    return not session.ended or t_ms <= session.end_ms or action in ("end", "passive")


def _too_long(session: Session, t_ms: int, rules: SessionRules) -> bool:
    """Whether an assigned session would exceed the greatest duration with an event at ``t_ms`` in it."""
    duration_ms = max(session.end_ms, t_ms) - min(session.start_ms, t_ms)
    return not session.client and 0 < rules.max_duration_ms < duration_ms


def _open(
    state: DeviceState,
    event: Event,
    t_ms: int,
    cause: SessionCause,
    rules: SessionRules,
    *,
    fixed_start: bool,
) -> tuple[Session, SessionCause]:
    """A new session for the event, and the first cause that applies."""
    if state.opened == 0:
        cause = "first"
    elif cause == "gap" and is_late(state.newest_ms - t_ms, rules):
        cause = "late"
    state.opened += 1
    named = EventRef(t_ms, event.id, event.type)
    session = Session(
        id=event.session_id or session_id(event.device_id, t_ms, state.opened),
        number=state.opened,
        start_ms=t_ms,
        end_ms=t_ms,
        client=event.session_id is not None,
        cause=cause,
        fixed_start=fixed_start,
        ended=False,
        closed=None,
        revision=0,
        event_count=1,
        passive_count=0,
        touched=state.event_count + 1,
        views=b"",
        user_id=event.user_id,
        user_at_ms=0 if event.user_id is None else t_ms,
        last=named,
        first=named,
    )
    return session, cause


def _extend(
    state: DeviceState,
    sessions: list[Session],
    target: Session,
    event: Event,
    t_ms: int,
    changes: SessionChanges,
) -> Session:
    """The session with the event in it; a copy where it is an older one, shared with the committed state."""
    session = _own(state, sessions, target)
    if session.closed is not None:
        changes.add(session)
        if not session.ended:
            session.closed = None  # it goes on
    if _join(session, event, t_ms, state.event_count + 1):
        state.cold_changed = True
    if event.session_id is not None:
        session.client = True
    return session


def _own(state: DeviceState, sessions: list[Session], target: Session) -> Session:
    """``target`` itself when it is the fork's own, else a copy in its place.

    Older sessions are shared with the committed state and never changed.
    """
    if _is_current(state, target):
        return target
    owned = copy(target)
    for index, session in enumerate(sessions):
        if session.number == target.number:
            sessions[index] = owned
    return owned


def _count(
    state: DeviceState,
    target: Session,
    event: Event,
    t_ms: int,
    rules: SessionRules,
    changes: SessionChanges,
) -> Session:
    """Count a passive event in the session; nothing else of it changes, nor of the device.

    But where sessions split by user, the event's own user is that of a session without one: no event of
    another may join it then.
    """
    if not _is_current(state, target):
        older = list(state.older)
        target = _own(state, older, target)
        state.older = tuple(older)
        state.cold_changed = True
    target.event_count += 1
    target.passive_count += 1
    if rules.split_on_user_change and event.user_id is not None and target.user_id is None:
        target.user_id = event.user_id
        target.user_at_ms = t_ms
    if target.closed is not None:
        changes.add(target)
    return target


def _join(session: Session, event: Event, t_ms: int, touched: int) -> bool:
    """Add the event to the session, which is the fork's own; whether it is now the first one."""
    session.event_count += 1
    session.touched = touched
    if t_ms >= session.end_ms:
        session.end_ms = t_ms
        session.last = EventRef(t_ms, event.id, event.type)
    is_first = t_ms < session.start_ms
    if is_first:
        session.start_ms = t_ms
        session.first = EventRef(t_ms, event.id, event.type)
    if event.user_id is not None and (session.user_id is None or t_ms >= session.user_at_ms):
        session.user_id = event.user_id
        session.user_at_ms = t_ms
    return is_first


def _evict(
    state: DeviceState, sessions: list[Session], grown: Session, remembered: int, changes: SessionChanges
) -> None:
    """Keep the newest session and the others most recently touched; the rest is evicted, and closed.

    ``grown`` is the session that the event is in.
    """
    newest = max(sessions, key=_by_end)
    others = sorted([s for s in sessions if s.number != newest.number], key=_by_touch, reverse=True)
    # The current one is changed in place. An older one, shared with the committed state, can come to be it
    # without having been joined or changed: where two ends are equal and the other's start moved back.
    is_own = newest.number in changes.sessions or newest.number == grown.number
    if not is_own and not _is_current(state, newest):
        newest = copy(newest)
    state.current = newest
    state.older = tuple(others[: remembered - 1])
    for evicted in others[remembered - 1 :]:
        if evicted.closed is None:
            close(copy(evicted), "inactivity", changes)


def session_id(device_id: str, t_ms: int, number: int) -> str:
    """A UUID version 8 (RFC 9562) for the device's session of that number, opened at ``t_ms``.

    The opening time in ms fills the first 48 bits, so that ids sort by it; the rest is a hash of device id,
    time and session number. The same events give the same ids, for ever; nothing else goes in.

    >>> session_id("d1", 1_772_445_600_000, 1)
    '019cadfd-8900-8009-b523-6ef48df15fd0'
    >>> session_id("d1", 1_772_445_600_000, 2)
    '019cadfd-8900-8824-a0d1-005f4adb9f97'
    """
    digits = blake2b(f"{number} {t_ms} {device_id}".encode(), digest_size=10).hexdigest()
    time = f"{t_ms & _48_BITS:012x}"
    return f"{time[:8]}-{time[8:]}-8{digits[1:4]}-{_VARIANTS[digits[4]]}{digits[5:8]}-{digits[8:]}"
