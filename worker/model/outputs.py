"""What goes out: the wire format of the output topics.

Field order is the order on the wire; absent values are left out. Times are ms since the epoch.
Meaning, units and rules of every field: docs/outputs.md.
"""

from typing import Literal

from msgspec import Raw, Struct, structs

from worker.model.events import NO_JSON, Reason
from worker.model.rules import InputRules

Flag = Literal["new_device", "session_start", "linked", "out_of_order", "late", "clock_skew", "duplicate"]
SessionCause = Literal["first", "client", "event_type", "user_changed", "max_duration", "late", "gap"]
CloseReason = Literal["inactivity", "end_event", "superseded", "max_duration"]
UserSource = Literal["event", "device"]
SessionSource = Literal["client", "assigned"]
SessionStatus = Literal["open", "closed", "merged"]


class EnrichedEvent(Struct, gc=False, omit_defaults=True):
    """One event with its session and user: one record on the enriched topic, key = device id.

    Absent values are left out of the JSON:

    >>> from msgspec import json
    >>> json.encode(EnrichedEvent("e1", "click", "d1", 1_772_445_600_000, flags=("late",)))
    b'{"id":"e1","type":"click","device_id":"d1","timestamp":1772445600000,"flags":["late"]}'
    """

    id: str
    type: str
    device_id: str
    timestamp: int  # ms, as given: never corrected
    user_id: str | None = None  # the event's own, else the one the device is linked to at that time
    user_source: UserSource | None = None
    session_id: str | None = None
    session_source: SessionSource | None = None
    session_start: int | None = None  # ms, the session's first event time as known now
    session_number: int | None = None  # which of the device's sessions, in order of their opening; from 1
    event_number: int | None = None  # which of the session's events, in order of arrival; from 1
    session_cause: SessionCause | None = None  # only on the event that opens a session
    received_at: int | None = None  # ms, the raw record's Kafka timestamp
    flags: tuple[Flag, ...] = ()
    view_id: str | None = None
    data: Raw = NO_JSON  # byte for byte as sent
    extra: Raw = NO_JSON  # byte for byte as sent


class DeadLetter(Struct, frozen=True, omit_defaults=True):
    """A refused event or value, with everything needed to find it, tell its sender and send it again."""

    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    index: int | None = None  # place in the batch; absent for a whole value
    received_at: int | None = None  # ms
    payload: str | None = None  # the original text
    payload_base64: str | None = None  # instead of payload where that is not UTF-8, or shorter so


class EventName(Struct, frozen=True, gc=False):
    """An event, named."""

    id: str
    type: str


class SessionRecord(Struct, gc=False, omit_defaults=True):
    """A session as last published: an upsert on the sessions topic.

    Published when a session opens, closes, merges away, changes after it was closed, or finds its user; an
    open row is as of when it was last published. The record with the greatest ``revision`` counts.
    """

    session_id: str
    device_id: str
    session_source: SessionSource
    session_number: int
    session_cause: SessionCause
    start: int  # ms, its first event's time
    end: int  # ms, its last event's time
    duration_ms: int
    event_count: int
    active_count: int  # those of them whose type is not passive
    view_count: int  # distinct view_ids of the active ones; 128: that many or more
    is_bounce: bool  # at most one active event, or shorter than session.bounce_ms
    entry_event: EventName  # the first, by event time
    exit_event: EventName  # the last, by event time
    status: SessionStatus
    revision: int  # grows while the session is remembered
    user_id: str | None = None  # its newest own user, else the timeline's
    close_reason: CloseReason | None = None
    merged_into: str | None = None  # the id of the session that its events now belong to


class LinkRecord(Struct, frozen=True, gc=False, omit_defaults=True):
    """From ``since`` (ms) on the device belongs to the user; to nobody where ``user_id`` is left out."""

    since: int
    user_id: str | None = None


class IdentityRecord(Struct, gc=False, omit_defaults=True):
    """A device's links and earliest time after a change: an upsert on the identities topic, by device."""

    device_id: str
    links: tuple[LinkRecord, ...]  # in order of time, the newest 8
    first_seen: int  # ms, the device's earliest (held) event time
    linked_at: int  # ms, the (held) time of the event that changed it
    event_id: str  # that event
    user_id: str | None = None  # whom the newest link names
    links_since: int | None = None  # ms, once links were given up: what lies before is nobody's
    sessions: tuple[str, ...] = ()  # exactly those published again because of it


OutputRecord = tuple[bytes | None, bytes | None, int | None]
"""(key, value, timestamp in ms): a record to be sent. A plain tuple: one is made for every event."""

_GROWTH_IN_JSON = 6
"""How much longer JSON may write a text: a control character becomes ``\\u0000``."""

_OTHER_FIELDS_BYTES = 4_096


def largest_bytes(record: type[Struct], limits: InputRules) -> int:
    """The most bytes of such a record's value: its texts, its objects as they were sent, and a little.

    Lists and nested records are not counted: what has them has no objects, and fits in any batch.
    """
    kinds = [field.type for field in structs.fields(record)]
    texts = sum(kind in (str, str | None) for kind in kinds)
    objects_bytes = kinds.count(Raw) * limits.max_object_bytes
    return objects_bytes + _GROWTH_IN_JSON * texts * limits.max_text_bytes + _OTHER_FIELDS_BYTES
