"""When two sessions become one, for the slow reference; written from docs/sessions.md, not from the core."""

from tests.reference.devices import Device, Options, Session


def merged(device: Device, grown: Session, options: Options) -> Session:
    """Out of order, merge: the session that opened or grew merges with what it may merge with.

    The nearest first, until there is nothing more.
    """
    partners = [
        other for other in device["sessions"] if other is not grown and may_merge(grown, other, options)
    ]
    if not partners:
        return grown
    nearest = min(distance(grown, other) for other in partners)
    partners = [other for other in partners if distance(grown, other) == nearest]
    other = max(partners, key=lambda session: (session["start"], session["number"]))

    earlier, later = in_order_of_start(grown, other)
    whose_user = user_is_of(earlier, later)
    one: Session = {
        **earlier,
        "end": max(grown["end"], other["end"]),
        "ended": grown["ended"] or other["ended"],
        "count": grown["count"] + other["count"],
        "touched": device["events"],
        "user": whose_user["user"],
        "user_at": whose_user["user_at"],
        "exit": later["exit"] if later["end"] > earlier["end"] else earlier["exit"],
        "passive": grown["passive"] + other["passive"],
        "views": grown["views"] | other["views"],
        "closed": "end_event" if grown["ended"] or other["ended"] else None,
    }
    device["gone"].append((later, one["id"]))
    device["sessions"] = [s for s in device["sessions"] if s is not earlier and s is not later] + [one]
    return merged(device, one, options)


def may_merge(one: Session, other: Session, options: Options) -> bool:
    """Within the gap, both assigned, and neither fixed start, nor end, nor limit keeps them apart."""
    if one["client"] or other["client"]:
        return False
    if distance(one, other) > options["gap_ms"]:
        return False
    if options["split_on_user_change"] and one["user"] and other["user"] and one["user"] != other["user"]:
        return False
    later_start = max(one["start"], other["start"])
    if any(session["fixed_start"] and session["start"] == later_start for session in (one, other)):
        return False
    start, end = min(one["start"], other["start"]), max(one["end"], other["end"])
    if any(session["ended"] and session["end"] < end for session in (one, other)):
        return False
    return not (options["max_duration_ms"] and end - start > options["max_duration_ms"])


def distance(one: Session, other: Session) -> int:
    """Time from the end of the earlier to the start of the later; 0 where they overlap."""
    return max(0, max(one["start"], other["start"]) - min(one["end"], other["end"]))


def in_order_of_start(one: Session, other: Session) -> tuple[Session, Session]:
    """The earlier, whose id and number stay, and the later; starting together, the one opened first."""
    if (one["start"], one["number"]) < (other["start"], other["number"]):
        return one, other
    return other, one


def user_is_of(earlier: Session, later: Session) -> Session:
    """Whose user the merged session has: the newer; at the same instant the one that stays."""
    if later["user"] is None:
        return earlier
    if earlier["user"] is None:
        return later
    return later if later["user_at"] > earlier["user_at"] else earlier
