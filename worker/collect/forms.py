"""The forms of a body: an array of events, one event, or an envelope around one of both.

Decides which part of a body is the value that a raw record would have, and must not validate it: what is
broken is left to the decoder, whose reasons are then those of the dead letters. Invariant: a good event in an
array is found, whatever is broken behind it or beside it, also in an envelope.
"""

import re

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType, field, json

from worker.core.json_elements import WHITE_SPACE, nests_deeper, split_elements

_BOM = b"\xef\xbb\xbf"
_MOST_SENT_AT_BYTES = 64
_LEVELS_OF_ENVELOPE = 2
_Property = Raw | UnsetType


class Body(Struct, frozen=True, gc=False):
    """What a body holds. ``value`` is an array or one event, as far as it is JSON at all.

    ``write_key`` and ``sent_at`` are those of an envelope; empty where it has none, or not as text or number.
    """

    value: bytes
    write_key: bytes = b""
    sent_at: bytes = b""


class _Object(Struct):
    """The properties of an object by which an envelope is recognised, and those that it may have.

    Names in camel case are those of Segment's SDKs.
    """

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

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SPACE = rb"[ \t\n\r]*+"
# An object as far as its array of events, where only single values come before that.
_up_to_array = re.compile(
    rb"(\{(?:" + _SPACE + _STRING + _SPACE + rb":" + _SPACE + rb"(?:" + _STRING + rb'|[^"\[\]{},]++),)*+)'
    rb"" + _SPACE + rb'"(?:events|batch)"' + _SPACE + rb":" + _SPACE + rb"(?=\[)",
    re.DOTALL,
).match


def read_form(text: bytes, most_events: int, most_depth: int) -> Body:
    """The body's form. Never raises. More than ``most_events`` need not be found.

    An envelope is broken in which something nests deeper than ``most_depth``.

    >>> read_form(b'{"batch":[{"id":"e1"}],"sentAt":"2026-01-01T00:00:00Z"}', 500, 64)
    Body(value=b'[{"id":"e1"}]', write_key=b'', sent_at=b'2026-01-01T00:00:00Z')
    """
    if text.startswith(b"[") or not (b'"events"' in text or b'"batch"' in text):
        return Body(text)
    bare = text.removeprefix(_BOM).strip(WHITE_SPACE)
    levels = most_depth + _LEVELS_OF_ENVELOPE
    found = _object_of(bare, levels)
    if found is None:
        return _read_broken(bare, most_events, levels) or Body(text)
    values = [value for value in (found.events, found.batch) if value is not UNSET]
    if len(values) != 1 or _is_event(found):
        return Body(text)
    return _envelope(bytes(values[0]), found)


def _read_broken(text: bytes, most_events: int, levels: int) -> Body | None:
    """An envelope that is no JSON, of which the array is found; None for anything else.

    What follows the array is left with it, unless it ends the envelope as it should: then only an element is
    broken.
    """
    start = _up_to_array(text)
    if start is None:
        return None
    value = text[start.end() :]
    rest = split_elements(value, most_events).rest
    before = _object_of(start[1].rstrip(b",") + b"}", levels)
    after = _object_of(b"{" + rest.removeprefix(b","), levels)
    if before is None or _is_event(before) or (after is not None and _is_event(after)):
        return None
    if after is None:
        return _envelope(value, before)
    for name in _Object.__struct_fields__:
        if getattr(after, name) is not UNSET:
            setattr(before, name, getattr(after, name))
    return _envelope(value.removesuffix(rest), before)


def _object_of(text: bytes, levels: int) -> _Object | None:
    if nests_deeper(text, levels):  # so that the parser's stack decides nothing
        return None
    try:
        return _read_object(text)
    except DecodeError:
        return None


def _envelope(value: bytes, found: _Object) -> Body:
    return Body(
        value,
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
    except DecodeError:
        return b""
