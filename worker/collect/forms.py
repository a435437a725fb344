"""The forms of a body: an array of events, one event, or an envelope around an array.

Decides which part of a body is the value that a raw record would have, and must not validate it: what is
broken is left to the decoder, whose reasons are then those of the dead letters. Invariant: every byte that
may be of an event is in the value.
"""

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType, field, json

from worker.core.json_elements import WHITE_SPACE

_BOM = b"\xef\xbb\xbf"
_MOST_SENT_AT_BYTES = 64
_Property = Raw | UnsetType


class Body(Struct, frozen=True):
    """What a body holds. ``value`` is an array or one event, as far as it is JSON at all.

    ``write_key`` and ``sent_at`` are those of an envelope; empty where it has none, or not as text or number.
    """

    value: bytes
    write_key: bytes = b""
    sent_at: bytes = b""


class _Object(Struct):
    """The properties of an object by which an envelope is recognised, and those that it may have."""

    events: _Property = UNSET
    batch: _Property = UNSET
    write_key: _Property = UNSET
    segment_write_key: _Property = field(default=UNSET, name="writeKey")
    sent_at: _Property = UNSET
    segment_sent_at: _Property = field(default=UNSET, name="sentAt")
    id: _Property = UNSET
    event_id: _Property = UNSET
    type: _Property = UNSET
    event: _Property = UNSET
    device_id: _Property = UNSET


_read_object = json.Decoder(_Object).decode
_read_scalar = json.Decoder(str | int | float).decode


def read_form(text: bytes) -> Body:
    """The body's form. Never raises.

    >>> read_form(b'{"batch":[{"id":"e1"}],"sentAt":"2026-01-01T00:00:00Z"}')
    Body(value=b'[{"id":"e1"}]', write_key=b'', sent_at=b'2026-01-01T00:00:00Z')
    """
    if text.startswith(b"[") or not (b'"events"' in text or b'"batch"' in text):
        return Body(text)
    text_object = text.removeprefix(_BOM).strip(WHITE_SPACE)
    try:
        found = _read_object(text_object)
    except (DecodeError, RecursionError):
        return Body(text)
    values = [value for value in (found.events, found.batch) if value is not UNSET]
    if len(values) != 1 or _is_event(found) or not bytes(values[0]).startswith(b"["):
        return Body(text)
    return Body(
        bytes(values[0]),
        _text_of(found.write_key) or _text_of(found.segment_write_key),
        (_text_of(found.sent_at) or _text_of(found.segment_sent_at))[:_MOST_SENT_AT_BYTES],
    )


def _is_event(found: _Object) -> bool:
    names = (found.id, found.event_id, found.type, found.event, found.device_id)
    return any(value is not UNSET for value in names)


def _text_of(value: _Property) -> bytes:
    """A text's characters or a number's digits; empty for anything else."""
    if value is UNSET:
        return b""
    try:
        return str(_read_scalar(value)).encode()
    except (DecodeError, RecursionError):
        return b""
