"""The session rules of docs/semantics.md, as slowly and plainly as they can be said.

Written from the rules, not from ``worker.core``, and compared with it by properties. A session is a dict, a
device's memory is a list of them, and every question is answered by looking at all of them: no case is told
apart because it is common. Nothing here may be made faster.
"""

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any, TypedDict

from tests.reference.identity import Timeline

Options = Mapping[str, int]


class Session(TypedDict):
    """One remembered session; times in ms."""

    id: str
    number: int
    start: int
    end: int
    client: bool
    count: int
    touched: int


class Device(TypedDict):
    """All that is known of a device; ``newest`` is None before its first event."""

    sessions: list[Session]
    opened: int
    newest: int | None
    events: int
    links: Timeline


def new_device() -> Device:
    """A device without a past."""
    return {"sessions": [], "opened": 0, "newest": None, "events": 0, "links": []}


def place(device: Device, event: Mapping[str, Any], t: int, options: Options) -> tuple[Session, str | None]:
    """Put one event into a session: the session, and the cause if it opened one."""
    device["events"] += 1
    named = event.get("session_id")
    cause = None
    if named is not None:
        session = session_of_id(device, named)
        if session is None:
            cause = cause_of_opening(device, named, t, options)
            session = opened(device, named, t)
        session["client"] = True
    else:
        session = session_to_join(device, t, options)
        if session is None:
            cause = cause_of_opening(device, named, t, options)
            session = opened(device, assigned_id(event["device_id"], t, device["opened"] + 1), t)
    session["start"] = min(session["start"], t)
    session["end"] = max(session["end"], t)
    session["count"] += 1
    session["touched"] = device["events"]
    session = merged(device, session, options)
    forget(device, options)
    return session, cause


def session_of_id(device: Device, named: str) -> Session | None:
    """Client sessions: the remembered session of that id, whatever the gap."""
    for session in device["sessions"]:
        if session["id"] == named:
            return session
    return None


def session_to_join(device: Device, t: int, options: Options) -> Session | None:
    """Gap: one that contains t, else the nearest within gap; equal: starts later, then opened later."""
    near = [session for session in device["sessions"] if distance(session, t) <= options["gap_ms"]]
    if not near:
        return None
    nearest = min(distance(session, t) for session in near)
    candidates = [session for session in near if distance(session, t) == nearest]
    latest_start = max(session["start"] for session in candidates)
    candidates = [session for session in candidates if session["start"] == latest_start]
    latest_number = max(session["number"] for session in candidates)
    (session,) = [session for session in candidates if session["number"] == latest_number]
    return session


def distance(session: Session, t: int) -> int:
    """How far t is outside the session; 0 inside it and on both its edges."""
    if t < session["start"]:
        return session["start"] - t
    if t > session["end"]:
        return t - session["end"]
    return 0


def opened(device: Device, session_id: str, t: int) -> Session:
    """New: the device's next session."""
    device["opened"] += 1
    session: Session = {
        "id": session_id,
        "number": device["opened"],
        "start": t,
        "end": t,
        "client": False,
        "count": 0,
        "touched": 0,
    }
    device["sessions"].append(session)
    return session


def assigned_id(device_id: str, t: int, number: int) -> str:
    """A UUID of version 8: t in the highest 48 bits, version, variant, and a hash in the bits between."""
    digest = hashlib.blake2b(f"{number} {t} {device_id}".encode(), digest_size=10).digest()
    bits = t << 80 | int.from_bytes(digest, "big")
    bits = bits & ~(0b1111 << 76) | 8 << 76
    bits = bits & ~(0b11 << 62) | 0b10 << 62
    return str(uuid.UUID(int=bits))


def cause_of_opening(device: Device, named: str | None, t: int, options: Options) -> str:
    """The first that applies."""
    if device["opened"] == 0:
        return "first"
    if named is not None:
        return "client"
    if is_late(device, t, options):
        return "late"
    return "gap"


def is_late(device: Device, t: int, options: Options) -> bool:
    """Older than the device's newest event by more than gap + grace."""
    return device["newest"] is not None and device["newest"] - t > options["gap_ms"] + options["grace_ms"]


def merged(device: Device, joined: Session, options: Options) -> Session:
    """Out of order, merge: what the joined session now comes within gap of becomes one with it."""
    if joined["client"]:
        return joined
    for other in device["sessions"]:
        if other is joined or other["client"]:
            continue
        if space_between(joined, other) > options["gap_ms"]:
            continue
        winner, loser = (joined, other) if joined["start"] < other["start"] else (other, joined)
        winner["start"] = min(joined["start"], other["start"])
        winner["end"] = max(joined["end"], other["end"])
        winner["count"] = joined["count"] + other["count"]
        winner["touched"] = device["events"]
        device["sessions"] = [session for session in device["sessions"] if session is not loser]
        return merged(device, winner, options)
    return joined


def space_between(one: Session, other: Session) -> int:
    """Time from the end of the earlier to the start of the later; not above 0 where they overlap."""
    return max(one["start"], other["start"]) - min(one["end"], other["end"])


def forget(device: Device, options: Options) -> None:
    """Memory: the newest session stays (equal ends: starts, then opened later), and of the others those most
    recently touched.
    """
    by_newness = sorted(device["sessions"], key=lambda s: (s["end"], s["start"], s["number"]))
    newest = by_newness[-1]
    others = [session for session in device["sessions"] if session is not newest]
    others.sort(key=lambda session: session["touched"], reverse=True)
    device["sessions"] = [newest, *others[: options["remembered"] - 1]]
