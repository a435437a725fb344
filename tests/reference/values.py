"""A raw value to events and refusals, one element after another: what decoding must equal, slowly.

Written from docs/input.md, "The rules, exactly", not from ``worker.core``. An event is a dict with the names
of the wire, absent values left out, ``data`` and ``extra`` as text; a refusal is (reason, index, payload).
Which ids name nobody is asked of functions, for which there are vectors.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.reference.json_text import SPACE, NotJsonError, Value, depth, parse, split

BOM = b"\xef\xbb\xbf"
FIELDS = ("id", "type", "device_id", "timestamp", "user_id", "session_id", "view_id", "data")
OTHER_NAMES = {"id": "event_id", "type": "event"}
WHITE_SPACE = {*range(0x09, 0x0E), *range(0x1C, 0x21), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)}
WHITE_SPACE |= {0x2028, 0x2029, 0x202F, 0x205F, 0x3000}

Refusal = tuple[str, int | None, bytes]
NamesNobody = Callable[[str], bool]


class RefusedError(Exception):
    """An element breaks the rule of this reason."""


class Reader:
    """Reads by the limits of docs/input.md. ``is_missing`` is about sessions and views."""

    def __init__(
        self, limits: Any, is_no_user: NamesNobody, is_no_device: NamesNobody, is_missing: NamesNobody
    ) -> None:
        self.limits = limits
        self.is_no_device = is_no_device
        self.means_none = {"user_id": is_no_user, "session_id": is_missing, "view_id": is_missing}

    def read(self, value: bytes | None) -> tuple[list[dict[str, Any]], list[Refusal]]:
        """The events of a value, and what of it is refused."""
        if value is None:
            return [], [("tombstone", None, b"")]
        if len(value) > self.limits.max_value_bytes:
            return [], [("too_large", None, value[: 64 * 1024])]
        text = (value[3:] if value.startswith(BOM) else value).strip(SPACE)
        if not text:
            return [], [("empty_value", None, value)]
        if text[:1] not in {b"[", b"{"} or 0 in text[:4]:
            return [], [(why_no_events(text), None, value)]
        parts = split(text)
        if len(parts.elements) > self.limits.max_events:
            return [], [("too_many_events", None, value)]
        if parts.rest_index is not None and not parts.elements:
            return [], [(self.why_not_split(parts.rest), None, value)]
        events: list[dict[str, Any]] = []
        refusals: list[Refusal] = []
        for index, element in enumerate(parts.elements):
            try:
                events.append(self.event(element))
            except RefusedError as refused:
                refusals.append((str(refused), index, element))
        if parts.rest or parts.rest_index is not None:
            refusals.append((self.why_not_split(parts.rest), parts.rest_index, parts.rest))
        return events, refusals

    def why_not_split(self, rest: bytes) -> str:
        if not is_utf8(rest):
            return "not_utf8"
        return "too_deep" if depth(rest) > self.limits.max_depth else "malformed_json"

    def event(self, element: bytes) -> dict[str, Any]:
        """The event that an element is. Raises ``RefusedError``."""
        if not is_utf8(element):
            raise RefusedError("not_utf8")
        if depth(element) > self.limits.max_depth:
            raise RefusedError("too_deep")
        try:
            value = parse(element.decode())
        except NotJsonError:
            raise RefusedError("malformed_json") from None
        if value.kind != "object":
            raise RefusedError("not_an_object")
        sent = {name: value for _, name, value in value.properties}
        event: dict[str, Any] = {field: self.required(field, sent) for field in ("id", "type", "device_id")}
        event["timestamp"] = timestamp_of(sent)
        for field in ("user_id", "session_id", "view_id"):
            text = self.optional(field, sent)
            if text is not None:
                event[field] = text
        if "data" in sent and sent["data"].raw != "null":
            event["data"] = self.data(sent["data"])
        if extra := extra_of(value):
            if len(extra.encode()) > self.limits.max_object_bytes:
                raise RefusedError("too_long")
            event["extra"] = extra
        return event

    def required(self, field: str, sent: Mapping[str, Value]) -> str:
        found, other = sent.get(field), sent.get(OTHER_NAMES.get(field, field))
        if found and other and found.raw != other.raw:
            one, again = id_text(found), id_text(other)
            if one is None or one != again:
                raise RefusedError("conflicting_alias")
        chosen = other or found
        if chosen is None:
            raise RefusedError("missing_field")
        text = text_of(field, chosen)
        if all(ord(character) in WHITE_SPACE for character in text):
            raise RefusedError("empty_field")
        self.check_text(text)
        if field == "device_id" and self.is_no_device(text):
            raise RefusedError("blocked_device_id")
        return text

    def optional(self, field: str, sent: Mapping[str, Value]) -> str | None:
        found = sent.get(field)
        if found is None or found.raw == "null":
            return None
        text = text_of(field, found)
        if self.means_none[field](text):
            return None
        self.check_text(text)
        return text

    def check_text(self, text: str) -> None:
        if len(text.encode()) > self.limits.max_text_bytes:
            raise RefusedError("too_long")
        if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
            raise RefusedError("control_character")

    def data(self, value: Value) -> str:
        if value.kind != "object":
            raise RefusedError("data_not_object")
        if any(inner.kind in {"object", "array"} for _, _, inner in value.properties):
            raise RefusedError("data_nested")
        names = {name for _, name, _ in value.properties}
        if any(name.startswith("_") for name in names):
            raise RefusedError("data_reserved_name")
        if len(names) > self.limits.max_properties:
            raise RefusedError("data_too_many_properties")
        if len(value.raw.encode()) > self.limits.max_object_bytes:
            raise RefusedError("too_long")
        return value.raw


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def why_no_events(text: bytes) -> str:
    if not is_utf8(text):
        return "not_utf8"
    if 0 in text[:4]:
        return "malformed_json"
    try:
        parse(text.decode())
    except NotJsonError:
        return "malformed_json"
    return "not_an_event_array"


def id_text(value: Value) -> str | None:
    is_integer = value.kind == "number" and not set(value.raw) & set(".eE")
    return value.text if value.kind == "string" or is_integer else None


def text_of(field: str, value: Value) -> str:
    text = id_text(value)
    if text is None or (field == "type" and value.kind != "string"):
        raise RefusedError("wrong_type")
    return text


def timestamp_of(sent: Mapping[str, Value]) -> int:
    if "timestamp" not in sent:
        raise RefusedError("missing_field")
    value = sent["timestamp"]
    if value.kind != "number":
        raise RefusedError("wrong_type")
    mantissa, _, exponent = value.raw.lower().partition("e")
    number = Fraction(Decimal(mantissa))
    if not number:
        raise RefusedError("timestamp_out_of_range")
    power = Decimal(exponent or "0")
    if abs(power) > 10_000:  # of numbers as short as these
        raise RefusedError("wrong_type" if power < 0 else "timestamp_out_of_range")
    number *= Fraction(10) ** int(power)
    if number.denominator != 1:
        raise RefusedError("wrong_type")
    if not 10**11 <= number < 10**14:
        raise RefusedError("timestamp_out_of_range")
    return int(number)


def extra_of(value: Value) -> str:
    others = [one for one in value.properties if one[1] not in {*FIELDS, *OTHER_NAMES.values()}]
    last = {name: f"{spelt}:{inner.raw}" for spelt, name, inner in others}
    return "{" + ",".join(last.values()) + "}" if last else ""
