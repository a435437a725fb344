"""What the slow reference remembers of a device: plain dicts, all of them looked at for every question."""

from collections.abc import Mapping
from typing import Any, TypedDict

from tests.reference.identity import NO_LINKS, Timeline

Options = Mapping[str, Any]


class Session(TypedDict):
    """One remembered session; times in ms. ``user`` is its newest event's that has one, at ``user_at``.

    ``entry`` and ``exit`` are (time, id, type) of its first and last event; ``closed`` says why it is over,
    None while only inactivity can tell. ``passive`` counts its passive events, ``views``
    are the view ids of the others.
    """

    id: str
    number: int
    start: int
    end: int
    client: bool
    fixed_start: bool
    ended: bool
    count: int
    touched: int
    user: str | None
    user_at: int
    cause: str
    entry: tuple[int, str, str]
    exit: tuple[int, str, str]
    passive: int
    views: frozenset[str]
    closed: str | None


class Device(TypedDict):
    """All that is known of a device; ``newest`` is None before its first event.

    ``recent`` are the events that it remembers to find duplicates: ids and times in order of arrival.
    ``gone`` are the sessions that the newest event made it evict, or merged away: into that id.
    """

    sessions: list[Session]
    opened: int
    newest: int | None
    events: int
    timeline: Timeline
    first_seen: int | None
    recent: list[tuple[str, int]]
    gone: list[tuple[Session, str | None]]


def new_device() -> Device:
    """A device without a past."""
    return {
        "sessions": [],
        "opened": 0,
        "newest": None,
        "events": 0,
        "timeline": NO_LINKS,
        "first_seen": None,
        "recent": [],
        "gone": [],
    }


def is_expired(device: Device, t: int, options: Options) -> bool:
    """Expiry: its newest event is more than the retention before t."""
    return device["newest"] is not None and t - device["newest"] > options["retention_ms"]


def evict(device: Device, options: Options) -> None:
    """Memory: the newest session stays, and of the others those most recently touched.

    Of sessions with equal ends the newest is the one that starts later, then the one opened later.
    """
    by_newness = sorted(device["sessions"], key=lambda s: (s["end"], s["start"], s["number"]))
    newest = by_newness[-1]
    others = [session for session in device["sessions"] if session is not newest]
    others.sort(key=lambda session: session["touched"], reverse=True)
    device["sessions"] = [newest, *others[: options["remembered"] - 1]]
    device["gone"] += [(session, None) for session in others[options["remembered"] - 1 :]]
