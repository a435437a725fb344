"""Reads single values out of an element's properties: under which name, which text, which instant.

Knows the JSON of one field and neither limits nor other fields. Invariants: never raises on valid JSON; what
is no such value is a refusal, whose detail names the field and the fault and never tells the value of a text.
"""

from msgspec import Raw, json

from worker.core.refusals import Refusal, refuse
from worker.model.events import NO_JSON, OLDEST_TIMESTAMP_MS, TIMESTAMP_LIMIT_MS

ALIASES = {"id": "event_id", "type": "event"}

KINDS = {
    "string": "a string",
    "object": "an object",
    "array": "an array",
    "boolean": "a boolean",
    "null": "null",
    "integer": "an integer",
    "number": "a number with a fraction or exponent",
}
"""What a JSON value can be, in words, by the name of its kind."""
_KIND_BY_FIRST_BYTE = {
    b'"': KINDS["string"],
    b"{": KINDS["object"],
    b"[": KINDS["array"],
    b"t": KINDS["boolean"],
    b"f": KINDS["boolean"],
    b"n": KINDS["null"],
}
_INTEGER, _NUMBER = KINDS["integer"], KINDS["number"]
NO_INTEGER_FIELD = "type"
"""The one text of which an integer is none."""
_MOST_TIMESTAMP_DIGITS = len(str(TIMESTAMP_LIMIT_MS))
_MOST_EXPONENT_DIGITS = 18
_TIMESTAMP = "timestamp"
_NO_TIMESTAMP = refuse("missing", field=_TIMESTAMP)
_any_string = json.Decoder(str).decode


def json_of(found: Raw, other: Raw, field: str) -> bytes | Refusal:
    """A field's JSON, found under its name or its other one; empty where both are ``NO_JSON``.

    Both will do where they name the same text: "7" is 7, and an escape is the character it stands for.
    """
    if other is NO_JSON:
        return bytes(found)
    if found is NO_JSON:
        return bytes(other)
    one, again = bytes(found), bytes(other)
    if one == again or ((text := _id_text(one)) is not None and text == _id_text(again)):
        return again
    return refuse("conflicting_alias", field=field, other=ALIASES[field])


def text_of(json_text: bytes, field: str) -> str | Refusal:
    """The field's text. An integer will do for ids, which only ``type`` is not."""
    if field != NO_INTEGER_FIELD or json_text[:1] == b'"':
        text = _id_text(json_text)
        if text is not None:
            return text
    rule = "no_text" if field == NO_INTEGER_FIELD else "no_id"
    return refuse(rule, field=field, got=kind_of(json_text))


def timestamp_of(found: Raw | None) -> int | Refusal:
    """Event time in ms: a number without fraction, exactly as it is written, in the range of milliseconds."""
    if found is None:
        return _NO_TIMESTAMP
    json_text = bytes(found)
    if json_text.isdigit() and len(json_text) <= 20:  # nearly all are so
        plain = int(json_text)
        if OLDEST_TIMESTAMP_MS <= plain < TIMESTAMP_LIMIT_MS:
            return plain
    kind = kind_of(json_text)
    if kind not in {_INTEGER, _NUMBER}:
        return refuse("timestamp_kind", field=_TIMESTAMP, got=kind)
    shown = json_text.decode() if len(json_text) <= 40 else json_text[:40].decode() + "..."
    if kind == _NUMBER:  # of the integers that are in the range none comes so far
        negative, digits, zeros = _parts_of_number(json_text)
        if zeros < 0:
            return refuse("timestamp_fraction", field=_TIMESTAMP, shown=shown)
        if not negative and len(digits) + zeros <= _MOST_TIMESTAMP_DIGITS:  # no power of 10**18 is tried
            number: int = int(digits or b"0") * 10**zeros
            if OLDEST_TIMESTAMP_MS <= number < TIMESTAMP_LIMIT_MS:
                return number
    return refuse("timestamp_range", field=_TIMESTAMP, shown=shown)


def _parts_of_number(json_text: bytes) -> tuple[bool, bytes, int]:
    """Whether a JSON number is negative, its digits without zeros around, and how many zeros follow them.

    The digits times ten to the power of the zeros are its value, exactly. Less than no zeros mean a fraction.
    Nothing has neither digits nor zeros. An exponent beyond any text's length counts as one of that length.
    """
    mantissa, _, exponent = json_text.lower().partition(b"e")
    whole, _, fraction = mantissa.partition(b".")
    significant = (whole.lstrip(b"-") + fraction).lstrip(b"0")
    digits = significant.rstrip(b"0")
    if not digits:
        return json_text.startswith(b"-"), b"", 0
    size = int(exponent.lstrip(b"+-").lstrip(b"0")[:_MOST_EXPONENT_DIGITS] or b"0")
    power = -size if exponent.startswith(b"-") else size
    return json_text.startswith(b"-"), digits, power - len(fraction) + len(significant) - len(digits)


def kind_of(json_text: bytes) -> str:
    """What a valid JSON value is, in words."""
    kind = _KIND_BY_FIRST_BYTE.get(json_text[:1])
    if kind is None:
        kind = _INTEGER if json_text.removeprefix(b"-").isdigit() else _NUMBER
    return kind


def _id_text(json_text: bytes) -> str | None:
    """A string's text or an integer's digits; None for anything else."""
    if json_text[:1] == b'"':
        return _any_string(json_text)
    return json_text.decode() if json_text.removeprefix(b"-").isdigit() else None
