"""What goes wrong at the senders: ways to spoil a good event, as real instrumentation does it.

Each way must end in a dead letter of another reason; none knows what the worker will make of it.
"""

from collections.abc import Callable
from typing import Any

Spoil = Callable[[dict[str, Any]], object]

BROKEN_VALUE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
"""An error page where a batch should be: not one event can be read from it."""


def _without(field: str) -> Spoil:
    return lambda event: {name: value for name, value in event.items() if name != field}


def _with(**fields: object) -> Spoil:
    return lambda event: {**event, **fields}


BREAKAGES: tuple[Spoil, ...] = (
    _without("device_id"),
    lambda event: {**event, "timestamp": event["timestamp"] // 1000},  # seconds, not ms
    _with(device_id="undefined"),
    _with(timestamp="2024-06-01T10:30:00Z"),
    lambda event: {**event, "data": {**event["data"], "cart": {"items": ["p-101", "p-104"]}}},
    _with(type=""),
    lambda event: {**event, "data": {**event["data"], "_debug": True}},
    _with(event="PageViewed"),
    lambda event: f"[object Object] {event['type']}",  # somebody joined strings
    _with(session_id={"value": "s-1"}),
)
