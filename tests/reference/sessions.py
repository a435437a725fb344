"""The session rules of docs/sessions.md, as slowly and plainly as they can be said.

Written from the rules, not from ``worker.core``, and compared with it by properties. A session is a dict, a
device's memory is a list of them, and every question is answered by looking at all of them: no case is
treated apart because it is common. Nothing here may be made faster.
"""

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from tests.reference.devices import Device, Options, Session, evict
from tests.reference.merge import merged


def action_of(event: Mapping[str, Any], options: Options) -> str | None:
    """Event types: what this one's does; ``*`` stands for every type that is not named."""
    actions: Mapping[str, str] = options["event_types"]
    return actions[event["type"]] if event["type"] in actions else actions.get("*")


def add_to_session(
    device: Device, event: Mapping[str, Any], t: int, options: Options
) -> tuple[Session | None, str | None]:
    """Add one event to a session; returns the session, and the cause if the event opened it.

    No session for a passive event outside any.
    """
    device["events"] += 1
    device["gone"] = []
    action = action_of(event, options)
    named = event.get("session_id")
    if named is None and action == "passive":
        reach = [s for s in passive_reach(device, t, options) if not of_another_user(s, event, options)]
        accompanied = preferred(reach, t)
        if accompanied is not None:
            accompanied["count"] += 1
            accompanied["passive"] += 1
            if options["split_on_user_change"] and accompanied["user"] is None and "user_id" in event:
                accompanied["user"], accompanied["user_at"] = event["user_id"], t
        return accompanied, None

    cause = None
    if named is not None:
        session = session_of_id(device, named)
        if session is None:
            cause = cause_of_opening(device, event, t, "client", options)
            session = opened(device, named, event, t, cause, fixed_start=False)
        session["client"] = True
    else:
        session, why_not_joined, replaced = session_to_join(device, event, t, action, options)
        if session is None:
            cause = cause_of_opening(device, event, t, why_not_joined, options)
            new_id = assigned_id(event["device_id"], t, device["opened"] + 1)
            if replaced is not None and not replaced["ended"]:
                replaced["closed"] = "max_duration" if why_not_joined == "max_duration" else "superseded"
            fixed_start = why_not_joined == "event_type" or replaced is not None
            session = opened(device, new_id, event, t, cause, fixed_start=fixed_start)
    if t < session["start"]:
        session["entry"] = (t, event["id"], event["type"])
    if t >= session["end"]:
        session["exit"] = (t, event["id"], event["type"])
    session["start"] = min(session["start"], t)
    session["end"] = max(session["end"], t)
    if action == "passive":
        session["passive"] += 1
    elif "view_id" in event:
        session["views"] = session["views"] | {event["view_id"]}
    session["count"] += 1
    session["touched"] = device["events"]
    if event.get("user_id") is not None and t >= session["user_at"]:
        session["user"] = event["user_id"]
        session["user_at"] = t
    if action == "end":
        session["ended"] = True
    session["closed"] = "end_event" if session["ended"] else None
    session = merged(device, session, options)
    evict(device, options)
    return session, cause


def session_of_id(device: Device, named: str) -> Session | None:
    """Client sessions: the remembered session of that id, whatever the gap."""
    for session in device["sessions"]:
        if session["id"] == named:
            return session
    return None


def session_to_join(
    device: Device, event: Mapping[str, Any], t: int, action: str | None, options: Options
) -> tuple[Session | None, str | None, Session | None]:
    """The session that an event without a session id joins, else why it joins none, and which one is over.

    There is no reason where there was none that it could have joined.
    """
    reach = reach_of_end(device, t, options) if action == "end" else reach_of_plain(device, t, options)
    nearest = preferred(reach, t)
    in_order = device["newest"] is None or t >= device["newest"]
    if nearest is not None and in_order and of_another_user(nearest, event, options):
        return None, "event_type" if action == "start" else "user_changed", nearest
    permitted = [session for session in reach if not of_another_user(session, event, options)]
    short_enough = [session for session in permitted if not would_be_too_long(session, t, options)]
    session = preferred(short_enough, t)
    if action == "start":
        return None, "event_type", session or preferred(permitted, t)
    if session is not None:
        return session, None, None
    if permitted:
        return None, "max_duration", preferred(permitted, t)
    return None, "user_changed" if reach else None, None


def passive_reach(device: Device, t: int, options: Options) -> list[Session]:
    """What a passive event may join: within the gap, but nothing with a fixed start after it."""
    return [
        session
        for session in device["sessions"]
        if distance(session, t) <= options["gap_ms"] and not (session["fixed_start"] and t < session["start"])
    ]


def reach_of_plain(device: Device, t: int, options: Options) -> list[Session]:
    """What an event may join: also nothing ended before it."""
    return [
        session
        for session in passive_reach(device, t, options)
        if not (session["ended"] and t > session["end"])
    ]


def reach_of_end(device: Device, t: int, options: Options) -> list[Session]:
    """What an ``end`` may join: also what another has ended, but nothing that starts after it."""
    return [session for session in passive_reach(device, t, options) if session["start"] <= t]


def would_be_too_long(session: Session, t: int, options: Options) -> bool:
    """Limit: with t in it an assigned session would be longer than the greatest duration."""
    if session["client"] or options["max_duration_ms"] == 0:
        return False
    longest: int = options["max_duration_ms"]
    return max(session["end"], t) - min(session["start"], t) > longest


def of_another_user(session: Session, event: Mapping[str, Any], options: Options) -> bool:
    """Another user: the event and the session each have one, and they differ."""
    if not options["split_on_user_change"] or "user_id" not in event or session["user"] is None:
        return False
    user: str = event["user_id"]
    return user != session["user"]


def preferred(reach: list[Session], t: int) -> Session | None:
    """Gap: one that contains t, else the nearest; equal: starts later, then opened later."""
    if not reach:
        return None
    nearest = min(distance(session, t) for session in reach)
    candidates = [session for session in reach if distance(session, t) == nearest]
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


def opened(
    device: Device, session_id: str, event: Mapping[str, Any], t: int, cause: str, *, fixed_start: bool
) -> Session:
    """New: the device's next session."""
    device["opened"] += 1
    session: Session = {
        "id": session_id,
        "number": device["opened"],
        "start": t,
        "end": t,
        "client": False,
        "fixed_start": fixed_start,
        "ended": False,
        "count": 0,
        "touched": 0,
        "user": None,
        "user_at": 0,
        "cause": cause,
        "entry": (t, event["id"], event["type"]),
        "exit": (t, event["id"], event["type"]),
        "passive": 0,
        "views": frozenset(),
        "closed": None,
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


def cause_of_opening(
    device: Device, event: Mapping[str, Any], t: int, of_its_own: str | None, options: Options
) -> str:
    """The first that applies; ``of_its_own`` is one of those between the device's first and the gap."""
    if device["opened"] == 0:
        return "first"
    if of_its_own is not None:
        return of_its_own
    if is_late(device, t, options):
        return "late"
    return "gap"


def is_late(device: Device, t: int, options: Options) -> bool:
    """Older than the device's newest event by more than gap + grace."""
    return device["newest"] is not None and device["newest"] - t > options["gap_ms"] + options["grace_ms"]
