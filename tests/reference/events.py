"""Raw batches to enriched events, one event after another: what the whole core must equal.

Written from docs/sessions.md, not from ``worker.core``. A batch is a dict of ``received_at`` (ms, None where
the record has no timestamp) and ``events`` (dicts as ``tests.builders`` makes them, all legal); an enriched
event is a dict with the names of the wire, absent values left out.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.reference import devices, duplicates, identity, sessions

DEFAULTS: Mapping[str, Any] = {
    "gap_ms": 1_800_000,
    "grace_ms": 300_000,
    "max_future_ms": 300_000,
    "remembered": 4,
    "max_duration_ms": 0,
    "bounce_ms": 0,
    "split_on_user_change": False,
    "event_types": {},
    "retention_ms": 396 * 86_400_000,
    "duplicates": "keep",
    "duplicates_remembered": 500,
    "duplicates_ms": 86_400_000,
}


class Reference:
    """The rules and all devices' memory. ``devices`` may be looked at."""

    def __init__(self, options: Mapping[str, Any] = DEFAULTS) -> None:
        self.options = options
        self.devices: dict[str, devices.Device] = {}
        self.watermark: int | None = None

    def process(self, batches: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The enriched events of these batches, in order."""
        all_events = [
            self.enriched(event, batch["received_at"]) for batch in batches for event in batch["events"]
        ]
        return [event for event in all_events if event is not None]

    def enriched(self, event: Mapping[str, Any], received_at: int | None) -> dict[str, Any] | None:
        """One event through all rules; None for a duplicate that is dropped."""
        t, held = self.held_time(event["timestamp"], received_at)
        known = self.devices.get(event["device_id"])
        new_device = known is None or devices.is_expired(known, t, self.options)
        if new_device:
            self.devices[event["device_id"]] = devices.new_device()
        device = self.devices[event["device_id"]]

        duplicate = duplicates.is_duplicate(device, event, t, self.options)
        if duplicate and self.options["duplicates"] == "drop":
            return None
        if not duplicate:
            duplicates.remember(device, event, t, self.options)
        if received_at is not None and (self.watermark is None or t > self.watermark):
            self.watermark = t

        timeline_before = device["timeline"]
        user = event.get("user_id")
        user_source = None
        if user is not None:
            device["timeline"] = identity.linked(timeline_before, t, user)
            user_source = "event"
        else:
            user = identity.user_of_event_without_one(timeline_before, t)
            user_source = None if user is None else "device"
        if sessions.action_of(event, self.options) == "unlink":
            device["timeline"] = identity.logged_out(device["timeline"], t)

        late = sessions.is_late(device, t, self.options)
        out_of_order = device["newest"] is not None and t < device["newest"]
        session, cause = sessions.add_to_session(device, event, t, self.options)
        if device["newest"] is None or t > device["newest"]:
            device["newest"] = t
        if device["first_seen"] is None or t < device["first_seen"]:
            device["first_seen"] = t

        happened = {
            "new_device": new_device,
            "session_start": cause is not None,
            "linked": device["timeline"] != timeline_before,
            "out_of_order": out_of_order,
            "late": late,
            "clock_skew": held,
            "duplicate": duplicate,
        }
        place: dict[str, Any] = {}
        if session is not None:
            place = {
                "session_id": session["id"],
                "session_source": "client" if session["client"] else "assigned",
                "session_start": session["start"],
                "session_number": session["number"],
                "event_number": session["count"],
            }
        every_field = {
            "id": event["id"],
            "type": event["type"],
            "device_id": event["device_id"],
            "timestamp": event["timestamp"],
            "user_id": user,
            "user_source": user_source,
            **place,
            "session_cause": cause,
            "received_at": received_at,
            "flags": [flag for flag, raised in happened.items() if raised] or None,
            "view_id": event.get("view_id"),
            "data": event.get("data"),
        }
        return {name: value for name, value in every_field.items() if value is not None}

    def held_time(self, timestamp: int, received_at: int | None) -> tuple[int, bool]:
        """The time the rules use, and whether the device's clock was held."""
        if received_at is None:
            return timestamp, False
        limit = received_at + self.options["max_future_ms"]
        return min(timestamp, limit), timestamp > limit
