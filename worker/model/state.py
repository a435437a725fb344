"""What the store remembers of one device, and of one partition.

Times are held event times in ms (docs/input.md, Time). A state that has been committed is never
changed in place: the core works on forks, so that an abort loses nothing and leaves nothing behind.
The bytes in store and changelog are made by ``core.state_codec``; change a struct here and
``SCHEMA_VERSION`` there decides who may still read it: also another word of ``SessionCause`` or
``CloseReason`` is another format.
"""

from typing import Annotated, Self

import msgspec
from msgspec import Struct

from worker.model.outputs import CloseReason, SessionCause

StateRecord = tuple[bytes, bytes | None]
"""(key, value) of store and changelog; None deletes the key."""

GREATEST_STORED = 2**53 - 1
"""The greatest time or count in a stored record; the least is 0. Sums of two and of any options fit 64 bits.

Times are below 1e14 plus durations of options, and a count comes so far after 285 years of a million a
second.
"""

Stored = Annotated[int, msgspec.Meta(ge=0, le=GREATEST_STORED)]
"""A time or count of a stored record. The bounds hold where records are decoded."""


class EventRef(Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """The first or last event of a session, by event time."""

    at_ms: Stored
    id: str
    type: str


class Link(Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """From ``since_ms`` on the device belongs to the user; to nobody where that is None."""

    since_ms: Stored
    user_id: str | None


class Timeline(Struct, frozen=True, gc=False):
    """Whose a device is, and since when: its newest ``links``, in order of time.

    ``since_ms`` is 0 as long as no link was given up. From then on it is the time of the oldest link that is
    kept: what lies before belongs to nobody any more.
    """

    links: tuple[Link, ...] = ()
    since_ms: int = 0


class Session(Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    """A stretch of one device's activity.

    ``fixed_start``: opened by an event that nothing older may join. ``ended``: closed by an event of its own,
    so that its end stays. ``closed`` says why it was last closed, None while it is open; ``revision`` counts
    how often it was published. ``touched`` counts the device's events: the value at the last one that joined.
    ``passive_count`` are the events among ``event_count`` whose type is passive, ``views`` the distinct views
    of the others, packed by ``core.views``. ``user_id`` is that of the newest event that has one, at
    ``user_at_ms``. No field has a default: a record with fewer is none.
    """

    id: str
    number: Stored
    start_ms: Stored
    end_ms: Stored
    client: bool
    cause: SessionCause
    fixed_start: bool
    ended: bool
    closed: CloseReason | None
    revision: Stored
    event_count: Stored
    passive_count: Stored
    touched: Stored
    views: bytes
    user_id: str | None
    user_at_ms: Stored
    last: EventRef
    first: EventRef | None  # kept with the cold part: it hardly ever changes after the opening


class DeviceState(Struct, gc=False):
    """All that is remembered of a device.

    Hot: ``newest_ms`` (its newest event), ``opened`` (sessions so far), ``event_count``, ``current`` (the
    newest session: greatest end) and when it is due: ``close_at_ms`` for the first open session that may be
    due to close (0: none is open), ``expire_at_ms`` for the device itself; and ``recent_ids``, the packed
    memory of ``core.duplicates``. Cold, written only when ``cold_changed``: the ``older`` sessions, most
    recently touched first, the ``timeline`` of its users, ``first_seen_ms`` and the current session's first
    event. ``armed`` are the two times that the store's timers have, as last committed; they are not stored
    again.
    """

    newest_ms: int
    opened: int = 0
    event_count: int = 0
    current: Session | None = None
    close_at_ms: int = 0
    expire_at_ms: int = 0
    older: tuple[Session, ...] = ()
    timeline: Timeline = Timeline()
    first_seen_ms: int = 0
    cold_changed: bool = True
    armed: tuple[int, int] = (0, 0)
    recent_ids: bytes = b""

    def fork(self) -> Self:
        """A copy that may be changed. Older sessions are shared: they are replaced, never changed.

        >>> committed = DeviceState(newest_ms=1_000)
        >>> committed.fork().newest_ms = 2_000
        >>> committed.newest_ms
        1000
        """
        # Called by name: copy.copy takes twice as long to find it. One fork a record is made.
        forked: Self = self.__copy__()  # type: ignore[attr-defined]
        if forked.current is not None:
            forked.current = forked.current.__copy__()  # type: ignore[attr-defined]
        return forked


class ExpiryClock(Struct, frozen=True, gc=False):
    """The time by which a partition's silent devices expire, in ms, and what it takes to move it.

    ``records``: see ``core.expiry``. The default is the clock of a partition without records.
    """

    at_ms: Stored = 0
    records: Stored = 0


class Meta(Struct, frozen=True, kw_only=True):
    """What one transaction leaves in the changelog about its partition: the truth about offsets.

    ``incarnation`` is made when the changelog is empty; a store or a group offset with another one belongs to
    a former changelog. ``next_offsets`` has the next (not the last) offset of every input topic.
    ``partitions`` of the raw topic and ``partitioner`` say which devices are here; empty where keys were
    trusted.
    """

    schema: int
    incarnation: str
    raw_topic: str
    next_offsets: dict[str, int]
    watermark_ms: Stored = 0
    expiry: ExpiryClock = ExpiryClock()
    partitions: int = 0
    partitioner: str = ""


class GroupOffset(Struct, frozen=True):
    """What the group has committed of one input.

    ``author`` is the incarnation whose transaction did it; empty where somebody else did: an operator's tool,
    or a worker of an earlier version.
    """

    next_offset: int
    author: str


class Checkpoint(Struct, frozen=True, kw_only=True):
    """How far a store is: it holds exactly what the changelog holds below ``changelog_offset``.

    ``written_at_ms`` (wall clock) tells whether tombstones may have been missed since.
    """

    schema: int
    incarnation: str
    changelog_offset: int
    written_at_ms: int
