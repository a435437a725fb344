"""Judges the elements of a value that is not as it should be: 100 KB may hold ten thousand of them, and each
costs half a microsecond here instead of two.

Decides nothing of its own: it finds in one place, for the elements that hostile or broken senders can make
most of, what ``core.event_checks`` would say, and asks there about all others. A property test holds the two
together. Invariants: never raises; every element is in exactly one of the two lists, in order.

What is dear, and how it is avoided (2026-11-24): to raise an error for bytes that are not UTF-8, 0.5 us
(they are left out, then counted); to have the parser complain, 0.5 us, and to judge an object, as much (once
for elements that are alike); a ``dict`` of an object's properties (only the fields that every event has and
the optional ids are read, until they are as they should be).
"""

from collections.abc import Sequence

from msgspec import DecodeError, Raw, Struct, json

from worker.core.event_checks import (
    HOLDS_CONTROL,
    MISSING,
    NOT_UTF8,
    EventChecks,
    holds_control,
    is_utf8,
    not_an_object,
)
from worker.core.fast_path import FastPath
from worker.core.field_values import Refusal, json_of, text_of, timestamp_of
from worker.core.json_elements import nests_deeper
from worker.core.remembered_refusals import Remembered
from worker.model.events import NO_JSON, Event, Rejection
from worker.model.rules import InputRules

_RUN = 32
"""So many elements of a broken value are tried together on the fast path."""
_MOST_IN_VAIN = 8
"""Where that many more trials failed than helped, no more are made."""
_SHORT_BYTES = 256
"""In a longer text the first byte that is no UTF-8 is found sooner than all of them are left out."""
_NO_OBJECTS = {first: not_an_object(first) for first in (b'"', b"[", b"t", b"f", b"n")}
_INTEGER = not_an_object(b"1")


class _Fields(Struct, gc=False):
    """The fields of an object but ``data``, under either name. The parser looks only for these and takes half
    the time of a ``dict``; of what is malformed it complains in the same words, for it goes the same way.
    """

    id: Raw = NO_JSON
    event_id: Raw = NO_JSON
    type: Raw = NO_JSON
    event: Raw = NO_JSON
    device_id: Raw = NO_JSON
    timestamp: Raw = NO_JSON
    user_id: Raw = NO_JSON
    session_id: Raw = NO_JSON
    view_id: Raw = NO_JSON


_any_json = json.Decoder(Raw).decode
_any_string = json.Decoder(str).decode
_fields_of = json.Decoder(_Fields).decode


class ManyElements:
    """Judges elements by the given rules. Holds no state."""

    def __init__(self, limits: InputRules, fast_path: FastPath, checks: EventChecks) -> None:
        self._limits = limits
        self._fast_path = fast_path
        self._checks = checks
        self._device_is_fine = fast_path.device_is_fine
        self._surely_short_chars = limits.max_text_bytes // 4  # a character is at most 4 bytes of UTF-8

    def read(self, elements: Sequence[bytes], events: list[Event], rejections: list[Rejection]) -> None:
        """Add what becomes of each element to one of the two lists.

        Tries the fast path on runs first, for one bad event in a batch of good ones.
        """
        remembered = Remembered()
        in_vain = 0 if len(elements) > 1 else _MOST_IN_VAIN  # one element has been tried as the value itself
        start = 0
        while start < len(elements):
            if in_vain >= _MOST_IN_VAIN:
                self._read_each(elements[start:], start, events, rejections, remembered)
                return
            run = elements[start : start + _RUN]
            found = self._fast_path.decode(b"[%b]" % b",".join(run))
            # One that is nothing at all, between two commas, does not count when it is alone.
            if found is not None and len(found.events) + len(found.rejections) == len(run):
                events += found.events
                rejections += [_moved(refusal, start) for refusal in found.rejections]
                in_vain -= 1
            else:
                self._read_each(run, start, events, rejections, remembered)
                in_vain += 1
            start += _RUN

    def _read_each(
        self,
        elements: Sequence[bytes],
        start: int,
        events: list[Event],
        rejections: list[Rejection],
        remembered: Remembered,
    ) -> None:
        """The same one by one; the first has the index ``start``. The order is that of the careful checks."""
        most = self._limits.max_depth
        refusal: Refusal | None
        for index, element in enumerate(elements, start):
            short = len(element) <= most  # and so not too deep
            if not element.isascii() and not _is_utf8(element):
                refusal = NOT_UTF8
            elif remembered.anything and (refusal := remembered.find(element, short)):
                pass
            elif element.isdigit() and element[:1] != b"0":
                refusal = _INTEGER
            else:
                try:
                    if element[:1] == b"{":
                        found = self._judge_object(_fields_of(element), element, remembered)
                        if not isinstance(found, tuple):  # five times as fast here as to ask for a Struct
                            events.append(found)
                            continue
                        refusal = found
                    else:
                        _any_json(element)
                        if short or not nests_deeper(element, most):
                            refusal = _NO_OBJECTS.get(element[:1]) or not_an_object(element)
                        else:
                            refusal = self._checks.too_deep
                except DecodeError as error:
                    refusal = self._checks.refusal_of_malformed(element, error)
                    if remembered.room:
                        remembered.malformed(element, refusal)
                except RecursionError:
                    refusal = self._checks.too_deep
            reason, detail = refusal
            rejections.append(Rejection(reason, detail, index, element))

    def _judge_object(self, fields: _Fields, element: bytes, remembered: Remembered) -> Event | Refusal:
        checks, most = self._checks, self._limits.max_depth
        if len(element) > 2 * most + 1 and nests_deeper(element, most):  # each level has two brackets
            return checks.judge(element)  # what a repeated name replaced does not count
        event = self._required_texts(fields)
        if isinstance(event, tuple):
            if remembered.room and not _has_both_names(fields):
                remembered.refused(element, event)
            return event
        device_id = event.device_id
        if not self._device_is_fine(device_id) and (refusal := checks.refusal_of_device(device_id)):
            return refusal
        timestamp = timestamp_of(None if fields.timestamp is NO_JSON else fields.timestamp)
        if isinstance(timestamp, tuple):
            return timestamp
        event.timestamp = timestamp
        return (
            checks.judge_ids(event, fields.user_id, fields.session_id, fields.view_id)
            or checks.judge_rest(event, element)
            or event
        )

    def _required_texts(self, fields: _Fields) -> Event | Refusal:
        """The event with its texts that may not be missing, and no time yet; or their first fault."""
        json_text = json_of(fields.id, fields.event_id, "id")
        event_id: str | Refusal
        if (
            isinstance(json_text, bytes)
            and json_text.isdigit()
            and len(json_text) <= self._surely_short_chars
        ):
            event_id = json_text.decode()
        else:
            event_id = self._text(json_text, "id")
        if isinstance(event_id, tuple):
            return event_id
        event_type = self._text(json_of(fields.type, fields.event, "type"), "type")
        if isinstance(event_type, tuple):
            return event_type
        device_id = self._text(bytes(fields.device_id), "device_id")
        if isinstance(device_id, tuple):
            return device_id
        return Event(event_id, event_type, device_id, 0)

    def _text(self, json_text: bytes | Refusal, field: str) -> str | Refusal:
        """The text in a field's JSON, which is empty where the field is missing."""
        if not json_text:
            return MISSING[field]
        if isinstance(json_text, tuple):
            return json_text
        if json_text[:1] == b'"':
            text = _any_string(json_text)
        else:
            other = text_of(json_text, field)
            if isinstance(other, tuple):
                return other
            text = other
        if text and len(text) <= self._surely_short_chars and not text.isspace():
            return HOLDS_CONTROL[field] if holds_control(text) else text
        return self._checks.required_text(text, field)


def _has_both_names(fields: _Fields) -> bool:
    both_ids = fields.id is not NO_JSON and fields.event_id is not NO_JSON
    return both_ids or (fields.type is not NO_JSON and fields.event is not NO_JSON)


def _is_utf8(text: bytes) -> bool:
    if len(text) > _SHORT_BYTES:
        return is_utf8(text)
    return len(text.decode(errors="ignore").encode()) == len(text)


def _moved(refusal: Rejection, places: int) -> Rejection:
    index = None if refusal.index is None else refusal.index + places
    return Rejection(refusal.reason, refusal.detail, index, refusal.payload)
