"""What the recipes ask about, made of a history: events with their people, and visits.

Decides whose a visit is, which one of a person it is, and how it looks. It must not know the worker's code or
output, nor SQL. The invariant: of sessions with one key, device and id, only the last one opened is a visit.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from tests.recipes.history import MOST_VIEWS, History, Seen, Session

Person = tuple[str, str]
"""``("user", id)``, or ``("device", id)`` where nobody is known."""


@dataclass(eq=False)
class Deed:
    """An event as the recipes see it. ``visit`` is None for one that is in no session."""

    seen: Seen
    user: str | None
    person: Person
    visit: "Visit | None"

    @property
    def type(self) -> str:
        return self.seen.event.type

    @property
    def t(self) -> int:
        return self.seen.event.t

    @property
    def device(self) -> str:
        return self.seen.event.device


@dataclass(eq=False)
class Visit:
    """A session that was merged into no other. ``number`` counts the visits of its person, from 1."""

    session: Session
    user: str | None
    person: Person
    number: int = 0

    @property
    def active_count(self) -> int:
        return self.session.count - self.session.passive_count

    @property
    def is_bounce(self) -> bool:
        return self.active_count <= 1

    @property
    def duration_ms(self) -> int:
        return self.session.end - self.session.start

    def row(self) -> dict[str, Any]:
        """What the view ``visits`` says of it."""
        session = self.session
        return {
            "person": " ".join(self.person),
            "visit_number": self.number,
            "visitor": "new" if self.number == 1 else "returning",
            "device_id": session.device,
            "session_id": session.id,
            "user_id": self.user,
            "status": "closed",
            "start_ms": session.start,
            "end_ms": session.end,
            "duration_ms": self.duration_ms,
            "event_count": session.count,
            "active_count": self.active_count,
            "view_count": min(len(session.views), MOST_VIEWS),
            "is_bounce": self.is_bounce,
            "entry_id": session.entry.id,
            "entry_type": session.entry.type,
            "landing_page": session.entry.data.get("url"),
            "referrer": session.entry.data.get("referrer"),
            "exit_id": session.exit.id,
            "exit_type": session.exit.type,
            "exit_page": session.exit.data.get("url"),
        }


@dataclass(eq=False)
class Site:
    """All that was done, in order of arrival, all visits in order of start, and the time zone of its days.

    ``sessions`` has those that were merged away, too, in order of device and id.
    """

    deeds: list[Deed]
    visits: list[Visit]
    sessions: list[Session]
    zone: tzinfo = UTC

    def day(self, t: int) -> str:
        return datetime.fromtimestamp(t / 1000, self.zone).date().isoformat()


def site_of(history: History, zone: tzinfo = UTC) -> Site:
    """Give every event and session its person."""
    counted = {(session.device, session.id): session for session in history.sessions}
    visits = {
        session: Visit(session, user := user_of_session(session), _person(user, session.device))
        for session in counted.values()
        if session.merged_into is None
    }
    in_order = sorted(
        visits.values(), key=lambda one: (one.session.start, one.session.device, one.session.id)
    )
    numbers: dict[Person, int] = {}
    for visit in in_order:
        visit.number = numbers[visit.person] = numbers.get(visit.person, 0) + 1
    deeds = []
    for seen in history.events:
        user = seen.user_now()
        visit_now = None
        if seen.session is not None:
            visit_now = visits[counted[seen.session.device, seen.session.id].now()]
        deeds.append(Deed(seen, user, _person(user, seen.event.device), visit_now))
    sessions = [session for _, session in sorted(counted.items())]
    return Site(deeds, in_order, sessions, zone)


def session_row(session: Session) -> dict[str, Any]:
    """What a session's last record says of it, times and counts aside; of a merged one no user."""
    merged_into = session.merged_into
    return {
        "device_id": session.device,
        "session_id": session.id,
        "session_source": "client" if session.is_client else "assigned",
        "session_number": session.number,
        "status": "closed" if merged_into is None else "merged",
        "user_id": session.delivered_user() if merged_into is None else None,
        "merged_into": None if merged_into is None else merged_into.id,
    }


def user_of_session(session: Session) -> str | None:
    """That of its row where one of its events has it as its own, else the timeline's as known in the end.

    What was delivered stays where the device expired: its timeline is gone.
    """
    delivered = session.delivered_user()
    return delivered if delivered in session.own_users else session.timeline_user()


def _person(user: str | None, device: str) -> Person:
    return ("device", device) if user is None else ("user", user)
