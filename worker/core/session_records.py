"""The records of the sessions and identities topics, and which sessions a change of user reaches.

Knows one device. Invariant: a record, ``revision`` aside, is a function of the session and the timeline as
they are.
"""

from copy import copy
from typing import NamedTuple

from worker.core.identity import user_at
from worker.core.session_changes import SessionChanges
from worker.core.views import view_count
from worker.model.events import Event
from worker.model.outputs import EventName, IdentityRecord, LinkRecord, SessionRecord
from worker.model.rules import SessionRules
from worker.model.state import DeviceState, EventRef, Session, Timeline


def session_user(session: Session, timeline: Timeline) -> str | None:
    """Whose the session is.

    It is its newest own user, else the device's user at its end, else (after a logout) at its start.
    """
    return session.user_id or user_at(timeline, session.end_ms) or user_at(timeline, session.start_ms)


class Owned(NamedTuple):
    """A remembered session, and whose it was before an event."""

    session: Session
    user_id: str | None


def owners_of(state: DeviceState) -> list[Owned]:
    """Whose each remembered session is now."""
    timeline = state.timeline
    sessions = (*state.older, state.current) if state.current is not None else state.older
    return [Owned(session, session_user(session, timeline)) for session in sessions]


def found_users(state: DeviceState, before: list[Owned], changes: SessionChanges) -> tuple[str, ...]:
    """Add the sessions that have another user than ``before`` the event; their ids, in order of opening.

    Also those that the event evicted: this is their last record. Not those that it merged away.
    """
    older = list(state.older)
    indexes = {session.number: index for index, session in enumerate(older)}
    current = state.current
    found: list[Session] = []
    for session, user_id in before:
        number = session.number
        index = indexes.get(number)
        is_own = number in changes.sessions
        if current is not None and number == current.number:
            session, is_own = current, True
        elif index is not None:
            session = older[index]
        elif number in changes.merged_into:
            continue
        else:
            session = changes.sessions.get(number, session)
        if session_user(session, state.timeline) == user_id:
            continue
        if not is_own:
            session = copy(session)  # it may be shared with the committed state
            if index is not None:
                older[index] = session
                state.cold_changed = True
        found.append(session)
        changes.add(session)
    state.older = tuple(older)
    return tuple(session.id for session in sorted(found, key=lambda s: s.number))


def session_records(
    device_id: str, state: DeviceState, changes: SessionChanges, rules: SessionRules
) -> list[SessionRecord]:
    """The records of what changed, in order; each is the session's next revision."""
    records = []
    for number, session in changes.sessions.items():
        session.revision += 1
        merged_into = changes.merged_into.get(number)
        records.append(_session_record(device_id, session, state.timeline, merged_into, rules.bounce_ms))
    return records


def _session_record(
    device_id: str, session: Session, timeline: Timeline, merged_into: str | None, bounce_ms: int
) -> SessionRecord:
    assert session.first is not None
    duration_ms = session.end_ms - session.start_ms
    active_count = session.event_count - session.passive_count
    return SessionRecord(
        session_id=session.id,
        device_id=device_id,
        user_id=session_user(session, timeline),
        session_source="client" if session.client else "assigned",
        session_number=session.number,
        session_cause=session.cause,
        start=session.start_ms,
        end=session.end_ms,
        duration_ms=duration_ms,
        event_count=session.event_count,
        active_count=active_count,
        view_count=view_count(session.views),
        is_bounce=active_count <= 1 or duration_ms < bounce_ms,
        entry_event=_named(session.first),
        exit_event=_named(session.last),
        status="merged" if merged_into is not None else "open" if session.closed is None else "closed",
        close_reason=None if merged_into is not None else session.closed,
        merged_into=merged_into,
        revision=session.revision,
    )


def _named(event: EventRef) -> EventName:
    return EventName(event.id, event.type)


def identity_record(event: Event, t_ms: int, state: DeviceState, sessions: tuple[str, ...]) -> IdentityRecord:
    """The device's timeline and its earliest time, after ``event`` at the held time ``t_ms`` changed them."""
    timeline = state.timeline
    return IdentityRecord(
        device_id=event.device_id,
        user_id=timeline.links[-1].user_id,
        links=tuple(LinkRecord(link.since_ms, link.user_id) for link in timeline.links),
        links_since=timeline.since_ms or None,
        first_seen=state.first_seen_ms,
        linked_at=t_ms,
        event_id=event.id,
        sessions=sessions,
    )
