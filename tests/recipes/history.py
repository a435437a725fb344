"""What became of raw events: sessions, merges and timelines, by plain loops over docs/sessions.md.

Decides which session an event is in and whose it is, when it arrives and in the end. It must not know the
worker's code or output, nor SQL. It knows the types with the actions ``passive`` and ``unlink``, and no limit
of sessions. The invariant: events are taken in order of arrival, and of a device no more is remembered than
``Memory`` allows; with ``EVERYTHING`` nothing is ever lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from tests.recipes.raw_input import Event

GAP_MS = 30 * 60 * 1000
MOST_VIEWS = 128


class Memory(NamedTuple):
    """How much is remembered of a device: sessions, links, and after how long a silence nothing."""

    sessions: int = 4
    links: int = 8
    silent_ms: int = 396 * 24 * 60 * 60 * 1000


EVERYTHING = Memory(10**9, 10**9)


@dataclass(eq=False)
class Session:
    """One session. ``user`` is that of its newest event that has one of its own, passive ones left out.

    ``own_users`` are those of all its events; ``evicted_with`` is its user when it was evicted.
    """

    device: str
    id: str
    number: int
    start: int
    end: int
    entry: Event
    exit: Event
    is_client: bool
    lifetime: "Lifetime"
    count: int = 0
    passive_count: int = 0
    views: set[str] = field(default_factory=set)
    user: str | None = None
    user_at: int = 0
    own_users: set[str] = field(default_factory=set)
    touched: int = 0
    is_evicted: bool = False
    evicted_with: str | None = None
    merged_into: "Session | None" = None

    def now(self) -> "Session":
        """The session that its events belong to: merges followed to their end."""
        session = self
        while session.merged_into is not None:
            session = session.merged_into
        return session

    def delivered_user(self) -> str | None:
        """The user in its last row: as long as it is remembered that follows the timeline."""
        if self.is_evicted:
            return self.evicted_with
        return self.user if self.user is not None else self.timeline_user()

    def timeline_user(self) -> str | None:
        """Whose the device is at its end, else at its start."""
        at_end = self.lifetime.user_at(self.end)
        return at_end if at_end is not None else self.lifetime.user_at(self.start)

    def distance(self, t: int) -> int:
        return max(self.start - t, t - self.end, 0)


@dataclass(eq=False)
class Lifetime:
    """A device from its first event until it expires. ``links`` are in order of time.

    ``given_up`` says whether some were; ``evicted`` has the sessions that can be joined no more.
    """

    first_seen: int
    newest: int
    opened: int = 0
    events: int = 0
    remembered: list[Session] = field(default_factory=list)
    links: list[tuple[int, str | None]] = field(default_factory=list)
    given_up: bool = False
    evicted: list[Session] = field(default_factory=list)
    is_over: bool = False

    def user_at(self, t: int) -> str | None:
        """Whose the device is at t; before the first link its user's, unless links were given up."""
        if not self.links or (self.given_up and t < self.links[0][0]):
            return None
        in_force = [user for since, user in self.links if since <= t]
        return in_force[-1] if in_force else self.links[0][1]

    def in_force(self, t: int) -> str | None:
        """The same, and nobody before the first link."""
        return self.user_at(t) if self.links and t >= self.links[0][0] else None

    def link(self, since: int, user: str | None, most: int) -> None:
        if self.given_up and since < self.links[0][0]:
            return
        self.links = sorted([*(one for one in self.links if one[0] != since), (since, user)])
        kept: list[tuple[int, str | None]] = []
        for one in self.links:
            if not kept or kept[-1][1] != one[1]:
                kept.append(one)
        self.given_up = self.given_up or len(kept) > most
        self.links = kept[-most:]


@dataclass(eq=False)
class Seen:
    """An event with its session, None for a passive one near none, and its user as it was delivered."""

    event: Event
    session: Session | None
    source: str
    delivered_user: str | None
    lifetime: Lifetime

    def user_now(self) -> str | None:
        """Its own user, else whose the device was at its time as is known in the end."""
        if self.source == "event" or self.lifetime.is_over:
            return self.delivered_user
        return self.lifetime.user_at(self.event.t)


@dataclass(eq=False)
class History:
    """All events in order of arrival, and all sessions in order of opening, those merged away too."""

    events: list[Seen]
    sessions: list[Session]


class Types(NamedTuple):
    """Which event types do something."""

    passive: frozenset[str] = frozenset()
    unlink: frozenset[str] = frozenset()


def history_of(events: Iterable[Event], types: Types, memory: Memory) -> History:
    """Take in all events."""
    lives: dict[str, Lifetime] = {}
    history = History([], [])
    for event in events:
        lifetime = lives.get(event.device)
        if lifetime is None or event.t - lifetime.newest > memory.silent_ms:
            if lifetime is not None:
                lifetime.is_over = True
            lifetime = lives[event.device] = Lifetime(event.t, event.t)
        _take_user(lifetime, event, types, memory)
        user = event.user if event.user is not None else lifetime.user_at(event.t)
        source = "event" if event.user is not None else "nobody" if user is None else "device"
        lifetime.events += 1
        session = _take_into_session(lifetime, event, types, history.sessions)
        _evict(lifetime, memory)
        lifetime.newest, lifetime.first_seen = (
            max(lifetime.newest, event.t),
            min(lifetime.first_seen, event.t),
        )
        history.events.append(Seen(event, session, source, user, lifetime))
    return history


def _take_user(lifetime: Lifetime, event: Event, types: Types, memory: Memory) -> None:
    if event.user is not None and lifetime.in_force(event.t) != event.user:
        lifetime.link(event.t, event.user, memory.links)
    is_logout = event.type in types.unlink and lifetime.in_force(event.t) is not None
    if is_logout and all(since != event.t + 1 for since, _ in lifetime.links):
        lifetime.link(event.t + 1, None, memory.links)


def _take_into_session(
    lifetime: Lifetime, event: Event, types: Types, sessions: list[Session]
) -> Session | None:
    is_passive = event.type in types.passive
    session: Session | None
    if event.session is not None:
        session = next((one for one in lifetime.remembered if one.id == event.session), None)
    else:
        near = [one for one in lifetime.remembered if one.distance(event.t) <= GAP_MS]
        session = min(near, key=lambda one: (one.distance(event.t), -one.start, -one.number), default=None)
    if is_passive and event.session is None:
        if session is not None:
            session.count += 1
            session.passive_count += 1
            session.own_users |= set() if event.user is None else {event.user}
        return session
    if session is None:
        session = _opened(lifetime, event)
        sessions.append(session)
    _join(session, event, is_passive=is_passive)
    session.is_client = session.is_client or event.session is not None
    session.touched = lifetime.events
    return _merged(lifetime, session)


def _opened(lifetime: Lifetime, event: Event) -> Session:
    lifetime.opened += 1
    session = Session(
        device=event.device,
        id=event.session or _assigned_id(event.device, event.t, lifetime.opened),
        number=lifetime.opened,
        start=event.t,
        end=event.t,
        entry=event,
        exit=event,
        is_client=event.session is not None,
        lifetime=lifetime,
    )
    lifetime.remembered.append(session)
    return session


def _assigned_id(device: str, t: int, number: int) -> str:
    digest = int.from_bytes(blake2b(f"{number} {t} {device}".encode(), digest_size=10).digest(), "big")
    bits = f"{t:048b}{digest:080b}"
    return str(UUID(int=int(f"{bits[:48]}1000{bits[52:64]}10{bits[66:]}", 2)))


def _join(session: Session, event: Event, *, is_passive: bool) -> None:
    if event.t < session.start:
        session.start, session.entry = event.t, event
    if event.t >= session.end:
        session.end, session.exit = event.t, event
    session.count += 1
    session.passive_count += is_passive
    session.own_users |= set() if event.user is None else {event.user}
    if event.view is not None and not is_passive:
        session.views.add(event.view)
    if event.user is not None and (session.user is None or event.t >= session.user_at):
        session.user, session.user_at = event.user, event.t


def _merged(lifetime: Lifetime, grown: Session) -> Session:
    """What it becomes when it is now within the gap of another one."""
    for other in lifetime.remembered:
        if other is grown or other.is_client or grown.is_client:
            continue
        if max(other.start, grown.start) - min(other.end, grown.end) > GAP_MS:
            continue
        stays, goes = sorted((grown, other), key=lambda one: (one.start, one.number))
        if goes.user is not None and (stays.user is None or goes.user_at > stays.user_at):
            stays.user, stays.user_at = goes.user, goes.user_at
        if goes.end > stays.end:
            stays.end, stays.exit = goes.end, goes.exit
        stays.count += goes.count
        stays.passive_count += goes.passive_count
        stays.views |= goes.views
        stays.own_users |= goes.own_users
        stays.touched = lifetime.events
        goes.merged_into = stays
        lifetime.remembered.remove(goes)
        return _merged(lifetime, stays)
    return grown


def _evict(lifetime: Lifetime, memory: Memory) -> None:
    """The newest session stays, and of the others those touched last."""
    if len(lifetime.remembered) <= memory.sessions:
        return
    newest = max(lifetime.remembered, key=lambda one: (one.end, one.start, one.number))
    others = sorted((one for one in lifetime.remembered if one is not newest), key=lambda one: one.touched)
    evicted = others[0]
    evicted.evicted_with, evicted.is_evicted = evicted.delivered_user(), True
    lifetime.remembered.remove(evicted)
    lifetime.evicted.append(evicted)
