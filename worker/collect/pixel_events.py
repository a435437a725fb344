"""The event that a pixel's query string describes.

Decides which names of a query are an event's; must not validate them. Invariant: every name but the request's
own (key, idempotency) is in the event, as ``data`` where it begins with ``d.``.
"""

from collections.abc import Mapping

from msgspec import json

_OF_THE_REQUEST = frozenset({b"write_key", b"idempotency_key"})
_DATA = b"d."


def pixel_event(query: Mapping[bytes, bytes], new_id: str, received_at_ms: int) -> bytes:
    """The event as JSON. An id and a time are added where the query has none.

    Digits as ``timestamp`` are a number, everything else is text. Bytes that are not UTF-8 stay so, and the
    decoder refuses them.

    >>> query = {b"type": b"view", b"device_id": b"d1", b"d.url": b"/a"}
    >>> pixel_event(query, "e1", 1764453600000)
    b'{"type":"view","device_id":"d1","data":{"url":"/a"},"id":"e1","timestamp":1764453600000}'
    """
    properties = {
        name: _number_or_text(name, value)
        for name, value in query.items()
        if name not in _OF_THE_REQUEST and not name.startswith(_DATA)
    }
    data = {name[len(_DATA) :]: _text(value) for name, value in query.items() if name.startswith(_DATA)}
    if data:
        properties[b"data"] = _object(data)
    if b"id" not in properties and b"event_id" not in properties:
        properties[b"id"] = _text(new_id.encode())
    properties.setdefault(b"timestamp", b"%d" % received_at_ms)
    return _object(properties)


def _object(properties: Mapping[bytes, bytes]) -> bytes:
    return b"{%b}" % b",".join([b"%b:%b" % (_text(name), value) for name, value in properties.items()])


def _number_or_text(name: bytes, value: bytes) -> bytes:
    is_number = name == b"timestamp" and value.isdigit() and len(value) < 20 and not value.startswith(b"0")
    return value if is_number else _text(value)


def _text(value: bytes) -> bytes:
    """A JSON string of the same bytes."""
    try:
        return json.encode(value.decode())
    except UnicodeDecodeError:
        return b'"%b"' % json.encode(value.decode("latin-1")).decode().encode("latin-1")[1:-1]
