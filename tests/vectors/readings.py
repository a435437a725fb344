"""Vectors about reading raw values: numbers, strings, brackets, and the outcomes of whole values.

Where a value may be no text it is in hexadecimal.
"""

from collections.abc import Sequence

from msgspec import DecodeError, Raw, json

from testing.golden import golden_cases, input_bytes
from tests.vectors.files import Value, Vector, Vectors
from tests.vectors.reading_inputs import (
    BRACKETS,
    EVENT,
    NO_UTF8,
    NUMBERS,
    PROPERTIES,
    SPLIT,
    STRINGS,
    TIMESTAMPS,
    UTF8,
    VALUES,
)
from worker.core.decode import Decoder
from worker.core.event_checks import is_json, is_utf8
from worker.core.field_values import kind_of, timestamp_of
from worker.core.json_elements import nests_deeper, split_elements
from worker.model.events import NO_JSON, Event
from worker.model.rules import IdentityRules, InputRules

MOST_CASE_BYTES = 1_000

_decoder = Decoder(InputRules(), IdentityRules())
_text_of = json.Decoder(str).decode


def readings() -> Vectors:
    """All of them."""
    golden = [
        input_bytes(case)
        for kind in ("element", "value")
        for case in golden_cases(kind).values()
        if "limits" not in case
    ]
    values = [*VALUES, *(b"[%b,%b}]" % (EVENT, text.encode()) for text in PROPERTIES)]
    values += [value for value in golden if value and len(value) <= MOST_CASE_BYTES]
    return {
        "number": [_number(text) for text in NUMBERS],
        "timestamp": [_timestamp(text) for text in TIMESTAMPS],
        "string": [_string(element) for element in STRINGS],
        "utf8": [{"bytes": text.hex(), "is_utf8": is_utf8(text)} for text in (*UTF8, *NO_UTF8)],
        "depth": [{"text": text, "depth": _depth(text.encode())} for text in BRACKETS],
        "split": [_split(text) for text in SPLIT],
        "value": [_value(value) for value in dict.fromkeys(values)],
    }


def _number(text: str) -> Vector:
    valid = is_json(text.encode())
    return {"text": text, "is_json": valid, "kind": kind_of(text.strip(" ").encode()) if valid else ""}


def _timestamp(text: str) -> Vector:
    """``timestamp`` is 0 where the value is refused."""
    found = timestamp_of(Raw(text.encode()))
    reason, detail, timestamp = (*found, 0) if isinstance(found, tuple) else ("", "", found)
    return {"text": text, "timestamp": timestamp, "reason": reason, "detail": detail}


def _string(element: bytes) -> Vector:
    """Bytes that are UTF-8: whether they are JSON, and the text that they stand for, if they are a string."""
    try:
        text = _text_of(element)
    except DecodeError:
        text = ""
    return {"bytes": element.hex(), "is_json": is_json(element), "text": text}


def _depth(text: bytes) -> int:
    return next(levels for levels in range(len(text) + 1) if not nests_deeper(text, levels))


def _split(text: str) -> Vector:
    """``rest_index`` is -1 where the rest, if there is one, comes after the end of the array or object."""
    found = split_elements(text.encode(), 100)
    return {
        "text": text,
        "elements": [element.decode() for element in found.elements],
        "rest": found.rest.decode(),
        "rest_index": -1 if found.rest_index is None else found.rest_index,
        "is_cut_off": found.cut_off,
    }


def _value(value: bytes) -> Vector:
    """With the default rules. An event is its fields in order, empty for none; a place of -1 is none."""
    decoded = _decoder.decode_carefully(value)
    return {
        "value": value.hex(),
        "events": [_event(event) for event in decoded.events],
        "refusals": [
            [one.reason, one.detail, -1 if one.index is None else one.index, one.payload.hex()]
            for one in decoded.rejections
        ],
    }


def _event(event: Event) -> Sequence[Value]:
    ids = [event.user_id or "", event.session_id or "", event.view_id or ""]
    rest = ["" if raw is NO_JSON else bytes(raw).decode() for raw in (event.data, event.extra)]
    return [event.id, event.type, event.device_id, event.timestamp, *ids, *rest]
