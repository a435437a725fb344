"""What the streams of sessions and identities come to, for the slow reference.

Written from docs/outputs.md, Sessions and Identities, not from ``worker.core``. It knows
nothing of transactions, watermarks and clocks: only what the last record of each session, and every record of
a device's timeline, has to say. Rows are dicts with the names of the wire, absent values left out, without
``revision``; an identity's without ``sessions``.
"""

from collections.abc import Mapping
from typing import Any

from tests.reference.devices import Device, Options, Session, is_expired
from tests.reference.events import Reference
from tests.reference.identity import NO_LINKS, known_since, user_of_event_without_one

Event = Mapping[str, Any]
Row = dict[str, Any]


class Outputs:
    """The reference, and what it has to publish.

    ``sessions`` has the last record by (device, session id), complete after ``end``; ``identities`` all
    records by device, None where it has expired.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.reference = Reference(options)
        self.sessions: dict[tuple[str, str], Row] = {}
        self.identities: dict[str, list[Row | None]] = {}

    def process(self, event: Event, received_at: int | None) -> None:
        """One event."""
        device_id = event["device_id"]
        t, _ = self.reference.held_time(event["timestamp"], received_at)
        known = self.reference.devices.get(device_id)
        if known is not None and is_expired(known, t, self.reference.options):
            self.close_all(device_id, known)
            if known["timeline"].links:
                self.identities[device_id].append(None)
            known = None
        timeline_before = NO_LINKS if known is None else known["timeline"]
        first_seen_before = None if known is None else known["first_seen"]
        if self.reference.enriched(event, received_at) is None:
            return
        device = self.reference.devices[device_id]
        for session, survivor_id in device["gone"]:
            self.sessions[device_id, session["id"]] = row(
                device_id, device, session, survivor_id, self.reference.options
            )
        is_earlier = first_seen_before is not None and device["first_seen"] != first_seen_before
        if device["timeline"] != timeline_before or (is_earlier and device["timeline"].links):
            rows = self.identities.setdefault(device_id, [])
            rows.append(identity_row(device_id, device, event, t))

    def end(self) -> None:
        """Nothing more comes, so that every session closes."""
        for device_id, device in self.reference.devices.items():
            self.close_all(device_id, device)

    def close_all(self, device_id: str, device: Device) -> None:
        """Inactivity closes what nothing else has closed."""
        for session in device["sessions"]:
            self.sessions[device_id, session["id"]] = row(
                device_id, device, session, None, self.reference.options
            )


def row(device_id: str, device: Device, session: Session, merged_into: str | None, options: Options) -> Row:
    """The last record of a session."""
    merged = merged_into is not None
    duration = session["end"] - session["start"]
    active = session["count"] - session["passive"]
    every_field = {
        "session_id": session["id"],
        "device_id": device_id,
        "session_source": "client" if session["client"] else "assigned",
        "session_number": session["number"],
        "session_cause": session["cause"],
        "start": session["start"],
        "end": session["end"],
        "duration_ms": duration,
        "event_count": session["count"],
        "active_count": active,
        "view_count": min(len(session["views"]), 128),
        "is_bounce": active <= 1 or duration < options["bounce_ms"],
        "entry_event": {"id": session["entry"][1], "type": session["entry"][2]},
        "exit_event": {"id": session["exit"][1], "type": session["exit"][2]},
        "status": "merged" if merged else "closed",
        "user_id": session_user(device, session),
        "close_reason": None if merged else session["closed"] or "inactivity",
        "merged_into": merged_into,
    }
    return {name: value for name, value in every_field.items() if value is not None}


def session_user(device: Device, session: Session) -> str | None:
    """Its newest own user; else the device's at its end; else, after a logout, at its start."""
    if session["user"] is not None:
        return session["user"]
    timeline = device["timeline"]
    at_end = user_of_event_without_one(timeline, session["end"])
    return at_end if at_end is not None else user_of_event_without_one(timeline, session["start"])


def identity_row(device_id: str, device: Device, event: Event, t: int) -> Row:
    """The timeline after the event at t has changed it."""
    timeline = device["timeline"]
    every_field = {
        "device_id": device_id,
        "links": [
            {"since": since} if user is None else {"since": since, "user_id": user}
            for since, user in timeline.links
        ],
        "links_since": known_since(timeline),
        "first_seen": device["first_seen"],
        "linked_at": t,
        "event_id": event["id"],
        "user_id": timeline.links[-1][1],
    }
    return {name: value for name, value in every_field.items() if value is not None}
