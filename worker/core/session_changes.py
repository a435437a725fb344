"""What is to be published of a device's sessions, and when a session is over.

Knows one device's sessions and rules. Invariants: a session appears once, as it is at the end; the order is
that in which the sessions first changed, so the close of an old one comes before the opening of a new one;
what is in it is the fork's own and may be changed; of a session that the state has it is what the state has.
Numbers name sessions: they are unique in a device, and no object's identity decides.
"""

from collections.abc import Iterable

from worker.model.outputs import CloseReason
from worker.model.rules import SessionRules
from worker.model.state import Session


class SessionChanges:
    """The sessions of one device that one event changed and that are to be published again."""

    __slots__ = ("closed", "merged_into", "sessions")

    def __init__(self) -> None:
        self.closed = 0  # how many open ones were closed, ever
        self.sessions: dict[int, Session] = {}  # by number
        self.merged_into: dict[int, str] = {}  # by number: the id of the session that it merged into

    def add(self, session: Session) -> None:
        """The session has changed; the last object added is the one that counts."""
        self.sessions[session.number] = session

    def clear(self) -> None:
        """Begin with the next event; the count of the closed goes on."""
        self.sessions.clear()
        self.merged_into.clear()

    def merged(self, gone: Session, survivor: Session) -> None:
        """One session has been merged into another."""
        self.sessions[gone.number] = gone
        self.merged_into[gone.number] = survivor.id
        self.sessions[survivor.number] = survivor


def close(session: Session, reason: CloseReason, changes: SessionChanges) -> None:
    """Close the session, which is the fork's own, unless it was closed for that reason before.

    It is published once more. What an event of its own has ended stays so, whatever else happens to it.
    """
    if session.closed != reason and (reason == "end_event" or not session.ended):
        changes.closed += session.closed is None
        session.closed = reason
        changes.add(session)


def closes_at_ms(session: Session, rules: SessionRules) -> int:
    """The watermark up to which the session stays open: its end, the gap, and the grace for late events."""
    return session.end_ms + rules.gap_ms + rules.grace_ms


def due_among(sessions: Iterable[Session], now_ms: int, rules: SessionRules) -> list[Session]:
    """The open sessions that have been inactive for long enough at ``now_ms``."""
    return [s for s in sessions if s.closed is None and closes_at_ms(s, rules) < now_ms]
