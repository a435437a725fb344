"""Short ways to write raw events and records, so that a test shows only what its rule is about.

Times of day are in UTC on one fixed day; whatever a test leaves out has a plain, legal value.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import json, structs

from worker.model.events import PlainRecord
from worker.model.state import EventRef, Session

MIDNIGHT_MS = 1_772_409_600_000
"""2026-03-02T00:00:00Z, the day of all builders."""

RawEvent = dict[str, Any]


Record = PlainRecord
"""A raw record; ``timestamp`` in ms, -1 when it has none."""


def ms(at: str | int) -> int:
    """``"10:30:00.000"`` on the builders' day (hours may pass 24), or ms since the epoch as they are."""
    if isinstance(at, int):
        return at
    hours, minutes, seconds = at.split(":")
    whole, _, fraction = seconds.partition(".")
    return (
        MIDNIGHT_MS
        + (int(hours) * 60 + int(minutes)) * 60_000
        + int(whole) * 1_000
        + int(fraction.ljust(3, "0"))
    )


def click(
    device: str,
    at: str | int = "10:00:00.000",
    *,
    user: str | None = None,
    session: str | None = None,
    view: str | None = None,
    **more: Any,
) -> RawEvent:
    """One event as a browser sends it; ``more`` are properties by their own names, taken as they are."""
    given = {"user_id": user, "session_id": session, "view_id": view}
    return {
        "id": f"{device}@{at}",
        "type": "page_view",
        "device_id": device,
        "timestamp": ms(at),
        **{name: value for name, value in given.items() if value is not None},
        **more,
    }


def stored_session(**more: Any) -> Session:
    """A session from 10 to 20 ms as a state has it; ``more`` are other values of its fields."""
    event = EventRef(10, "e1", "page_view")
    plain = Session(
        id="s",
        number=1,
        start_ms=10,
        end_ms=20,
        client=False,
        cause="first",
        fixed_start=False,
        ended=False,
        closed=None,
        revision=0,
        event_count=1,
        passive_count=0,
        touched=1,
        views=b"",
        user_id=None,
        user_at_ms=0,
        last=event,
        first=event,
    )
    return structs.replace(plain, **more)


def record(
    offset: int,
    content: Sequence[Any] | RawEvent | bytes | None,
    *,
    received_at: str | int | None = None,
    key: str | None = None,
    topic: str = "events.raw",
    partition: int = 0,
) -> Record:
    """One raw record of a batch, of a single event, or of these very bytes (None: a tombstone).

    Without ``received_at`` it came in at its newest event's time, so that no clock is held; with none at
    noon.
    """
    if received_at is None:
        received_at = max(_times(content), default=ms("12:00:00"))
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=ms(received_at),
        key=None if key is None else key.encode(),
        value=content if content is None or isinstance(content, bytes) else json.encode(content),
    )


def _times(content: Sequence[Any] | RawEvent | bytes | None) -> list[int]:
    if content is None or isinstance(content, bytes):
        return []
    events = [content] if isinstance(content, dict) else content
    times = [event.get("timestamp") for event in events if isinstance(event, dict)]
    return [time for time in times if isinstance(time, int)]
