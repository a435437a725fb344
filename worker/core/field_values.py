"""Reads single values out of an element's properties: under which name, which text, which instant.

Knows the JSON of one field and neither limits nor other fields. Invariants: never raises on valid JSON; what
is no such value is a refusal, whose detail names the field and the fault and never tells the value of a text.
"""

import re

from msgspec import Raw, json

from worker.model.events import OLDEST_TIMESTAMP_MS, TIMESTAMP_LIMIT_MS, Reason

Refusal = tuple[Reason, str]
"""The rule that an element breaks, and the detail for its sender."""

ALIASES = {"id": "event_id", "type": "event"}

_KINDS = {
    b'"': "a string",
    b"{": "an object",
    b"[": "an array",
    b"t": "a boolean",
    b"f": "a boolean",
    b"n": "null",
}
_integer = re.compile(rb"-?[0-9]+").fullmatch
_any_string = json.Decoder(str).decode


def take(properties: dict[str, Raw], field: str) -> bytes | Refusal | None:
    """Take the field's JSON out of the properties, under either of its names; None where it is not there."""
    found = properties.pop(field, None)
    alias = ALIASES.get(field)
    other = None if alias is None else properties.pop(alias, None)
    if other is None:
        return None if found is None else bytes(found)
    if found is None:
        return bytes(other)
    value = bytes(found)
    if value != other and not _same_text(value, bytes(other)):
        return "conflicting_alias", f"{field}: and its other name {alias} are both there and differ"
    return bytes(other)


def text_of(json_text: bytes, field: str) -> str | Refusal:
    """The field's text. An integer will do for ids, which only ``type`` is not."""
    text = _id_text(json_text)
    if text is None or (field == "type" and json_text[:1] != b'"'):
        allowed = "a string" if field == "type" else "a string or an integer"
        return "wrong_type", f"{field}: expected {allowed}, got {kind_of(json_text)}"
    return text


def timestamp_of(properties: dict[str, Raw]) -> int | Refusal:
    """Event time in ms: an integer, or a float without fraction, in the range of ms since the epoch."""
    found = properties.pop("timestamp", None)
    if found is None:
        return "missing_field", "timestamp: is missing"
    json_text = bytes(found)
    kind = kind_of(json_text)
    if kind not in {"an integer", "a number with a fraction or exponent"}:
        return "wrong_type", f"timestamp: expected a whole number of milliseconds, got {kind}"
    shown = json_text.decode() if len(json_text) <= 40 else json_text[:40].decode() + "..."
    number: int | float
    # Floats hold every integer below 2**53. Of 5,000 digits float() makes infinity, where int() raises.
    number = int(json_text) if kind == "an integer" and len(json_text) <= 20 else float(json_text)
    if number % 1 > 0:  # an infinite number gives nan here, which is no fraction
        return "wrong_type", f"timestamp: expected a whole number of milliseconds, got {shown}"
    if not OLDEST_TIMESTAMP_MS <= number < TIMESTAMP_LIMIT_MS:
        allowed = "1e11 <= timestamp < 1e14 (milliseconds since the epoch)"
        return "timestamp_out_of_range", f"timestamp: {shown} is outside {allowed}"
    return int(number)


def kind_of(json_text: bytes) -> str:
    """What a valid JSON value is, in words."""
    kind = _KINDS.get(json_text[:1])
    if kind is None:
        kind = "an integer" if _integer(json_text) else "a number with a fraction or exponent"
    return kind


def _same_text(one: bytes, other: bytes) -> bool:
    """Whether two JSON values name the same id: "7" is 7, and an escape is the character it stands for."""
    text = _id_text(one)
    return text is not None and text == _id_text(other)


def _id_text(json_text: bytes) -> str | None:
    """A string's text or an integer's digits; None for anything else."""
    if json_text[:1] == b'"':
        return _any_string(json_text) if b"\\" in json_text else json_text[1:-1].decode()
    return json_text.decode() if json_text.isdigit() or _integer(json_text) else None
