"""Decides which session an event belongs to.

Knows one device's remembered sessions, the event and its held time; no clock, no other device, no
transaction. Everything is a function of the device's events in their order of arrival. Invariants:
``state.current`` is the session with the greatest end; no two remembered assigned sessions lie within the gap
of each other unless a client session kept them apart; a session's id never changes, also when its start moves
back.

The common event (newest session, not older than its end) takes a short way through ``place``;
``_place_anywhere`` is the rule in full, and holds for that event too. Rules: docs/semantics.md, Sessions.
"""

from copy import copy
from hashlib import blake2b

from worker.model.events import Event
from worker.model.outputs import SessionCause
from worker.model.rules import SessionRules
from worker.model.state import DeviceState, EventRef, Session

_48_BITS = (1 << 48) - 1


def session_id(device_id: str, t_ms: int, number: int) -> str:
    """The id of an assigned session: a UUID version 8 (RFC 9562).

    The opening time in ms fills the first 48 bits, so that ids sort by it; the rest is a hash of device id,
    time and session number. Same events, same id, for ever.
    """
    digest = blake2b(f"{number} {t_ms} {device_id}".encode(), digest_size=10).digest()
    text = f"{t_ms & _48_BITS:012x}{digest.hex()}"
    variant = "89ab"[digest[2] >> 4 & 3]
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def place(
    state: DeviceState, event: Event, t_ms: int, rules: SessionRules
) -> tuple[Session, SessionCause | None]:
    """Put the event into a session of ``state`` (a fork, changed in place) and return that session.

    The second value is the cause when the event opened the session, else None. ``state.newest_ms`` and
    ``state.event_count`` are those before the event. Never raises.
    """
    current = state.current
    if current is None or t_ms < current.end_ms:
        return _place_anywhere(state, event, t_ms, rules)
    wanted = event.session_id
    if wanted is None:
        # A gap of exactly gap_ms continues (as Kafka Streams); gap_ms + 1 opens.
        if t_ms - current.end_ms > rules.gap_ms:
            return _place_anywhere(state, event, t_ms, rules)
    elif wanted == current.id:
        current.client = True
    else:
        return _place_anywhere(state, event, t_ms, rules)
    # No other session ends later, so none is nearer, and growing this way brings none within the gap.
    _join(current, event, t_ms, state.event_count + 1)
    return current, None


def _place_anywhere(
    state: DeviceState, event: Event, t_ms: int, rules: SessionRules
) -> tuple[Session, SessionCause | None]:
    sessions = list(state.older)
    if state.current is not None:
        sessions.append(state.current)
    wanted = event.session_id
    if wanted is None:
        target = _nearest(sessions, t_ms, rules.gap_ms)
    else:
        target = next((session for session in sessions if session.id == wanted), None)
    if target is None:
        cause = _cause(state, event, t_ms, rules)
        session = _open(state, event, t_ms, cause)
        sessions.append(session)
        _remember(state, sessions, rules.remembered)
        return session, cause
    if target is not state.current:
        # Older sessions are shared with the committed state: a changed one is a new one.
        sessions.remove(target)
        target = copy(target)
        sessions.append(target)
    first_before = target.first
    _join(target, event, t_ms, state.event_count + 1)
    if wanted is not None:
        target.client = True
    elif not target.client:
        target = _merge_neighbours(sessions, target, rules.gap_ms)
    if target is not state.current or target.first is not first_before:
        state.cold_changed = True
    _remember(state, sessions, rules.remembered)
    return target, None


def distance_ms(session: Session, t_ms: int) -> int:
    """How far ``t_ms`` lies outside the session; 0 inside it, both ends included."""
    if t_ms > session.end_ms:
        return t_ms - session.end_ms
    if t_ms < session.start_ms:
        return session.start_ms - t_ms
    return 0


def _nearest(sessions: list[Session], t_ms: int, gap_ms: int) -> Session | None:
    """The session that contains ``t_ms``, else the nearest within the gap; equal: starts, opened later."""
    within = [session for session in sessions if distance_ms(session, t_ms) <= gap_ms]
    return min(within, key=lambda s: (distance_ms(s, t_ms), -s.start_ms, -s.number), default=None)


def _cause(state: DeviceState, event: Event, t_ms: int, rules: SessionRules) -> SessionCause:
    if state.opened == 0:
        return "first"
    if event.session_id is not None:
        return "client"
    if state.newest_ms - t_ms > rules.gap_ms + rules.grace_ms:
        return "late"
    return "gap"


def _open(state: DeviceState, event: Event, t_ms: int, cause: SessionCause) -> Session:
    state.opened += 1
    state.cold_changed = True
    session = Session(
        id=event.session_id or session_id(event.device_id, t_ms, state.opened),
        number=state.opened,
        start_ms=t_ms,
        end_ms=t_ms,
        client=event.session_id is not None,
        cause=cause,
    )
    _join(session, event, t_ms, state.event_count + 1)
    return session


def _join(session: Session, event: Event, t_ms: int, touched: int) -> None:
    session.event_count += 1
    session.touched = touched
    if t_ms >= session.end_ms:
        session.end_ms = t_ms
        session.last = EventRef(t_ms, event.id, event.type)
    if t_ms < session.start_ms or session.first is None:
        session.start_ms = t_ms
        session.first = EventRef(t_ms, event.id, event.type)
    if event.view_id is not None and event.view_id != session.view_id:
        session.view_id = event.view_id
        session.view_count += 1
    if event.user_id is not None and (session.user_id is None or t_ms >= session.user_at_ms):
        session.user_id = event.user_id
        session.user_at_ms = t_ms


def _merge_neighbours(sessions: list[Session], grown: Session, gap_ms: int) -> Session:
    """Merge ``grown`` with every assigned session that now lies within the gap; returns what it became.

    The session that starts earlier (then: opened earlier) keeps its id, number and cause.
    """
    while True:
        neighbour = next(
            (
                other
                for other in sessions
                if other is not grown
                and not other.client
                and other.start_ms - grown.end_ms <= gap_ms
                and grown.start_ms - other.end_ms <= gap_ms
            ),
            None,
        )
        if neighbour is None:
            return grown
        sessions.remove(neighbour)
        sessions.remove(grown)
        grown = _merged(grown, neighbour)
        sessions.append(grown)


def _merged(touched_last: Session, other: Session) -> Session:
    keeps, goes = sorted((touched_last, other), key=lambda s: (s.start_ms, s.number))
    merged = copy(keeps)
    merged.event_count += goes.event_count
    merged.view_count += goes.view_count
    merged.touched = touched_last.touched
    merged.view_id = touched_last.view_id or other.view_id
    if goes.end_ms > keeps.end_ms:
        merged.end_ms = goes.end_ms
        merged.last = goes.last
    if goes.user_id is not None and (keeps.user_id is None or goes.user_at_ms > keeps.user_at_ms):
        merged.user_id = goes.user_id
        merged.user_at_ms = goes.user_at_ms
    return merged


def _remember(state: DeviceState, sessions: list[Session], remembered: int) -> None:
    """Keep the newest session and the others most recently touched; what is older is forgotten."""
    newest = max(sessions, key=lambda s: (s.end_ms, s.start_ms, s.number))
    others = sorted((s for s in sessions if s is not newest), key=lambda s: -s.touched)
    # The current one is changed in place. An older one, shared with the committed state, can come to be it
    # without having been joined: where two ends are equal and the other's start moved back.
    shared = any(newest is session for session in state.older)
    state.current = copy(newest) if shared else newest
    state.older = tuple(others[: remembered - 1])
