"""Judges the elements of a value that is not as it should be: 100 KB may hold ten thousand of them, and each
costs half a microsecond here instead of two.

Decides nothing of its own: it finds in one place, for the elements that hostile or broken senders can make
most of, what ``core.event_checks`` would say, and asks there about all others. A property test holds the two
together. Invariants: never raises; every element is in exactly one of the two lists, in order.

What is dear, and how it is avoided (2026-11-24): to raise an error for bytes that are not UTF-8, 0.5 us
(they are left out, then counted); to have the parser complain, 0.5 us (once for elements of one shape); a
``dict`` of an object's properties (only required fields are read, until they are as they should be).
"""

from collections.abc import Sequence

from msgspec import DecodeError, Raw, Struct, json

from worker.core.event_checks import MISSING, NOT_UTF8, EventChecks, is_utf8, not_an_object
from worker.core.fast_path import FastPath
from worker.core.field_values import Refusal, text_of, timestamp_of
from worker.core.json_elements import nests_deeper
from worker.model.events import NO_JSON, Event, Rejection
from worker.model.rules import InputRules

_RUN = 32
"""So many elements of a broken value are tried together on the fast path."""
_MOST_IN_VAIN = 8
"""Where that many more trials failed than helped, no more are made."""
_SHORT_BYTES = 256
"""In a longer text the first byte that is no UTF-8 is found sooner than all of them are left out."""


def _shape_of(byte: int) -> int:
    """One byte for all that a JSON parser takes alike, outside escapes."""
    character = chr(byte)
    if character in '[]{}",:\\ \t\n\r0+-.E' or character in "nulltruefalse":
        return byte
    if character in "123456789":
        return ord("1")
    return 0 if byte < 0x20 else ord("x")  # a string holds no control character


SHAPES = bytes(map(_shape_of, range(256)))
"""Of elements without a backslash that this table makes the same the parser says the same."""
_BACKSLASH = ord("\\")
_NO_OBJECTS = {first: not_an_object(first) for first in (b'"', b"[", b"t", b"f", b"n")}
_NO_IDS = {first: text_of(first, "id") for first in (b"[", b"{", b"t", b"f", b"n")}
_INTEGER = not_an_object(b"1")


class _Fields(Struct, gc=False):
    """The required fields of an object, under either name. The parser looks only for these and takes half the
    time of a ``dict``; of what is malformed it complains in the same words, for it goes the same way.
    """

    id: Raw = NO_JSON
    event_id: Raw = NO_JSON
    type: Raw = NO_JSON
    event: Raw = NO_JSON
    device_id: Raw = NO_JSON
    timestamp: Raw = NO_JSON


_any_json = json.Decoder(Raw).decode
_fields_of = json.Decoder(_Fields).decode


class ManyElements:
    """Judges elements by the given rules. Holds no state."""

    def __init__(self, limits: InputRules, fast_path: FastPath, checks: EventChecks) -> None:
        self._limits = limits
        self._fast_path = fast_path
        self._checks = checks
        self._surely_short_chars = limits.max_text_bytes // 4  # a character is at most 4 bytes of UTF-8

    def read(self, elements: Sequence[bytes], events: list[Event], rejections: list[Rejection]) -> None:
        """Add what becomes of each element to one of the two lists.

        Tries the fast path on runs first, for one bad event in a batch of good ones.
        """
        complaints: dict[bytes, Refusal] = {}
        in_vain = 0 if len(elements) > 1 else _MOST_IN_VAIN  # one element has been tried as the value itself
        start = 0
        while start < len(elements):
            if in_vain >= _MOST_IN_VAIN:
                self._read_each(elements[start:], start, events, rejections, complaints)
                return
            run = elements[start : start + _RUN]
            found = self._fast_path.decode(b"[%b]" % b",".join(run))
            # One that is nothing at all, between two commas, does not count when it is alone.
            if found is not None and len(found.events) + len(found.rejections) == len(run):
                events += found.events
                rejections += [_moved(refusal, start) for refusal in found.rejections]
                in_vain -= 1
            else:
                self._read_each(run, start, events, rejections, complaints)
                in_vain += 1
            start += _RUN

    def _read_each(
        self,
        elements: Sequence[bytes],
        start: int,
        events: list[Event],
        rejections: list[Rejection],
        complaints: dict[bytes, Refusal],
    ) -> None:
        """The same one by one; the first has the index ``start``. The order is that of the careful checks.

        ``complaints`` holds what the parser said of elements it refused, by their shapes.
        """
        checks, most = self._checks, self._limits.max_depth
        for index, element in enumerate(elements, start):
            refusal: Refusal | None
            try:
                if not element.isascii() and not _is_utf8(element):
                    refusal = NOT_UTF8
                elif complaints and (refusal := complaints.get(element.translate(SHAPES))):
                    pass
                elif (first := element[:1]) == b"{":
                    fields = _fields_of(element)
                    deep = len(element) > most and nests_deeper(element, most)
                    found = None if deep else self._required(fields)
                    if not isinstance(found, tuple):  # isinstance is five times as fast here as for a Struct
                        found = checks.judge(element) if found is None else checks.judge_rest(found, element)
                        if not isinstance(found, tuple):
                            events.append(found)
                            continue
                    refusal = found
                elif element.isdigit() and first != b"0":
                    refusal = _INTEGER
                else:
                    _any_json(element)
                    if len(element) > most and nests_deeper(element, most):
                        refusal = checks.too_deep
                    else:
                        refusal = _NO_OBJECTS.get(first) or not_an_object(element)
            except DecodeError as error:
                refusal = checks.refusal_of_malformed(element, error)
                if _BACKSLASH not in element:
                    complaints[element.translate(SHAPES)] = refusal
            except RecursionError:
                refusal = checks.too_deep
            reason, detail = refusal
            rejections.append(Rejection(reason, detail, index, element))

    def _required(self, fields: _Fields) -> Event | Refusal | None:
        """The event without what is optional, or its first fault. None where a field has both its names."""
        event_id = fields.event_id if fields.id is NO_JSON else fields.id
        event_type = fields.event if fields.type is NO_JSON else fields.type
        if event_id is not fields.event_id is not NO_JSON or event_type is not fields.event is not NO_JSON:
            return None
        if event_id is NO_JSON:
            return MISSING["id"]
        json_text = bytes(event_id)
        if json_text.isdigit() and len(json_text) <= self._surely_short_chars:
            id_text: str | Refusal = json_text.decode()
        else:
            id_text = _NO_IDS.get(json_text[:1]) or self._text(json_text, "id")
        if isinstance(id_text, tuple):
            return id_text

        if event_type is NO_JSON:
            return MISSING["type"]
        type_text = self._text(bytes(event_type), "type")
        if isinstance(type_text, tuple):
            return type_text

        if fields.device_id is NO_JSON:
            return MISSING["device_id"]
        device_id = self._text(bytes(fields.device_id), "device_id")
        if isinstance(device_id, tuple):
            return device_id
        if refusal := self._checks.refusal_of_device(device_id):
            return refusal
        timestamp = timestamp_of(None if fields.timestamp is NO_JSON else fields.timestamp)
        if isinstance(timestamp, tuple):
            return timestamp
        return Event(id_text, type_text, device_id, timestamp)

    def _text(self, json_text: bytes, field: str) -> str | Refusal:
        text = text_of(json_text, field)
        if isinstance(text, tuple):
            return text
        if text.isprintable() and len(text) <= self._surely_short_chars and text and not text.isspace():
            return text
        return self._checks.required_text(text, field)


def _is_utf8(text: bytes) -> bool:
    if len(text) > _SHORT_BYTES:
        return is_utf8(text)
    return len(text.decode(errors="ignore").encode()) == len(text)


def _moved(refusal: Rejection, places: int) -> Rejection:
    index = None if refusal.index is None else refusal.index + places
    return Rejection(refusal.reason, refusal.detail, index, refusal.payload)
