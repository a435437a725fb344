"""One element of a batch becomes an event, or is refused with the first reason that applies.

This is the readable form of every rule about a single event; the decoder's fast path must agree with it and a
property test holds the two together. It must not know batches, records or Kafka. Invariants: never raises; an
event that comes out obeys every rule, and its ``data`` and ``extra`` are the sender's own bytes.

The order of the checks is fixed, so that the reason for an element never changes:

1. structure: ``not_utf8``, ``too_deep``, ``malformed_json``, ``not_an_object``;
2. the required fields in the order ``id``, ``type``, ``device_id``, ``timestamp``: ``conflicting_alias``,
   ``missing_field``, ``wrong_type``, ``empty_field``, ``too_long``, ``control_character``,
   ``blocked_device_id``, ``timestamp_out_of_range``;
3. ``user_id``, ``session_id``, ``view_id``: ``wrong_type``, ``too_long``, ``control_character``;
4. ``data``: ``data_not_object``, ``data_nested``, ``data_reserved_name``, ``data_too_many_properties``,
   ``too_long``;
5. ``extra``: ``too_long``.
"""

import re
from collections.abc import Iterable

from msgspec import DecodeError, Raw, json

from worker.core.json_elements import may_have_escaped_names, names_as_sent, nests_deeper
from worker.model.events import (
    OLDEST_TIMESTAMP_MS,
    TIMESTAMP_LIMIT_MS,
    Event,
    Reason,
    Rejection,
)
from worker.model.rules import IdentityRules, InputRules

ALIASES = {"id": "event_id", "type": "event"}
NULL_WORDS = frozenset({"", "null", "undefined", "none", "nan"})
"""Plain forms of a session or view id that mean none: what scripts send for a value they do not have."""

_QUOTES = "\"'`"
_KINDS = {
    b'"': "a string",
    b"{": "an object",
    b"[": "an array",
    b"t": "a boolean",
    b"f": "a boolean",
    b"n": "null",
}
_integer = re.compile(rb"-?[0-9]+")
_control_character = re.compile("[\x00-\x1f\x7f-\x9f]")  # the Unicode category Cc
_any_json = json.Decoder(Raw).decode
_any_string = json.Decoder(str).decode
_properties_of = json.Decoder(dict[str, Raw]).decode


class Refused(Exception):  # noqa: N818 - a verdict on the input, not a failure of the program
    """The element breaks a rule."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def plain_word(text: str) -> str:
    """The form in which ids are compared with words: lower case, without white space and quotes around."""
    return text.strip().strip(_QUOTES).strip().lower()


def plain_words(texts: Iterable[str]) -> frozenset[str]:
    """A blocklist for ``plain_word``; it always holds "", which names nobody."""
    return frozenset({"", *map(plain_word, texts)})


def is_utf8(text: bytes) -> bool:
    """Whether the bytes are UTF-8 in its strict form: no overlong forms, no encoded surrogates."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_json(text: bytes) -> bool:
    """Whether the bytes are one JSON value, their UTF-8 aside. Raises RecursionError where it nests deep."""
    try:
        _any_json(text)
    except DecodeError:
        return False
    return True


class EventChecks:
    """The rules about a single event, for given limits. Holds no state."""

    def __init__(self, limits: InputRules, identity: IdentityRules) -> None:
        self._limits = limits
        self._blocked_users = plain_words(identity.blocked_user_ids)
        self._blocked_devices = plain_words(identity.blocked_device_ids)

    def read(self, element: bytes, index: int) -> Event | Rejection:
        """The event in the element, which is its place ``index`` in the batch, or why there is none."""
        try:
            return self._event(element)
        except Refused as refused:
            return Rejection(refused.reason, refused.detail, index, element)

    def check_data(self, data: bytes) -> None:
        """Raise Refused unless ``data`` (valid JSON, not null) is an object within the rules."""
        if not data.startswith(b"{"):
            raise Refused("data_not_object", f"data: expected an object, got {_kind(data)}")
        if nests_deeper(data, 1):  # also in what a repeated name replaced, for data goes out as it was sent
            allowed = "values are strings, numbers, booleans or null"
            raise Refused("data_nested", f"data: a property holds an object or an array; {allowed}")
        properties = _properties_of(data)
        for place, name in enumerate(properties, 1):
            if name.startswith("_"):
                allowed = "names that begin with _ are reserved"
                raise Refused("data_reserved_name", f"data: the name of property number {place}: {allowed}")
        if len(properties) > self._limits.max_properties:
            found = f"data: {len(properties)} properties, at most {self._limits.max_properties} are allowed"
            raise Refused("data_too_many_properties", found)
        self._check_size("data", len(data), self._limits.max_object_bytes)

    def _event(self, element: bytes) -> Event:
        properties = self._properties(element)
        event = Event(
            id=self._required_text(properties, "id"),
            type=self._required_text(properties, "type"),
            device_id=self._device_id(properties),
            timestamp=_timestamp(_take(properties, "timestamp")),
            user_id=self._optional_text(properties, "user_id", self._blocked_users),
            session_id=self._optional_text(properties, "session_id", NULL_WORDS),
            view_id=self._optional_text(properties, "view_id", NULL_WORDS),
        )
        data = _take(properties, "data")
        if data is not None and data != b"null":
            self.check_data(data)
            event.data = Raw(data)
        if properties:
            event.extra = Raw(self._extra(properties, element))
        return event

    def _properties(self, element: bytes) -> dict[str, Raw]:
        """The element's properties by name; the last of a repeated name wins."""
        if not element.isascii() and not is_utf8(element):
            raise Refused("not_utf8", "the event holds bytes that are not UTF-8")
        most = self._limits.max_depth
        too_deep: tuple[Reason, str] = ("too_deep", f"the event nests deeper than {most} levels")
        try:
            if element.startswith(b"{"):
                properties = _properties_of(element)
            else:
                _any_json(element)
                properties = None
        except RecursionError:
            raise Refused(*too_deep) from None
        except DecodeError as error:
            if nests_deeper(element, most):
                raise Refused(*too_deep) from None
            raise Refused("malformed_json", f"not valid JSON: {_fault_of(error, element)}") from None
        if nests_deeper(element, most) and (
            # What a repeated name replaced does not count.
            properties is None or any(nests_deeper(bytes(value), most - 1) for value in properties.values())
        ):
            raise Refused(*too_deep)
        if properties is None:
            raise Refused("not_an_object", f"expected an event object, got {_kind(element)}")
        return properties

    def _device_id(self, properties: dict[str, Raw]) -> str:
        device_id = self._required_text(properties, "device_id")
        if plain_word(device_id) in self._blocked_devices:
            raise Refused("blocked_device_id", "device_id: is a placeholder that stands for many devices")
        return device_id

    def _required_text(self, properties: dict[str, Raw], field: str) -> str:
        json_text = _take(properties, field)
        if json_text is None:
            alias = ALIASES.get(field)
            raise Refused("missing_field", f"{field}: is missing" + (f" (or {alias})" if alias else ""))
        text = _text(json_text, field)
        if not text or text.isspace():
            raise Refused("empty_field", f"{field}: is empty")
        return self._checked_text(text, field)

    def _optional_text(
        self, properties: dict[str, Raw], field: str, meaning_none: frozenset[str]
    ) -> str | None:
        json_text = _take(properties, field)
        if json_text is None or json_text == b"null":
            return None
        text = _text(json_text, field)
        return None if plain_word(text) in meaning_none else self._checked_text(text, field)

    def _checked_text(self, text: str, field: str) -> str:
        self._check_size(field, len(text.encode()), self._limits.max_text_bytes)
        if not text.isprintable() and _control_character.search(text):
            raise Refused("control_character", f"{field}: holds a control character")
        return text

    def _extra(self, properties: dict[str, Raw], element: bytes) -> bytes:
        """An object of the properties that are no fields, names and values as they were sent."""
        if may_have_escaped_names(element):  # the last of a repeated name wins
            names = {_any_string(name): name for name in names_as_sent(element)}
        else:
            names = {name: b'"%b"' % name.encode() for name in properties}
        extra = b"{%b}" % b",".join([names[name] + b":" + bytes(value) for name, value in properties.items()])
        self._check_size("extra", len(extra), self._limits.max_object_bytes)
        return extra

    def _check_size(self, field: str, size: int, most: int) -> None:
        if size > most:
            raise Refused("too_long", f"{field}: {size} bytes, at most {most} are allowed")


def _take(properties: dict[str, Raw], field: str) -> bytes | None:
    """Take the field's JSON out of the properties, under either of its names."""
    found = properties.pop(field, None)
    value = None if found is None else bytes(found)
    alias = ALIASES.get(field)
    if alias is None or alias not in properties:
        return value
    other = bytes(properties.pop(alias))
    if value is not None and value != other and not _same_text(value, other):
        raise Refused("conflicting_alias", f"{field}: and its other name {alias} are both there and differ")
    return other if value is None else value


def _same_text(one: bytes, other: bytes) -> bool:
    """Whether two JSON values name the same id: "7" is 7, and an escape is the character it stands for."""
    text = _id_text(one)
    return text is not None and text == _id_text(other)


def _id_text(json_text: bytes) -> str | None:
    """A string's text or an integer's digits; None for anything else."""
    if json_text.startswith(b'"'):
        return _any_string(json_text) if b"\\" in json_text else json_text[1:-1].decode()
    return json_text.decode() if _integer.fullmatch(json_text) else None


def _text(json_text: bytes, field: str) -> str:
    """The field's text. An integer will do for ids, which only ``type`` is not."""
    text = _id_text(json_text)
    if text is None or (field == "type" and not json_text.startswith(b'"')):
        allowed = "a string" if field == "type" else "a string or an integer"
        raise Refused("wrong_type", f"{field}: expected {allowed}, got {_kind(json_text)}")
    return text


def _timestamp(json_text: bytes | None) -> int:
    """Event time in ms: an integer, or a float without fraction, in the range of ms since the epoch."""
    if json_text is None:
        raise Refused("missing_field", "timestamp: is missing")
    kind = _kind(json_text)
    if kind not in {"an integer", "a number with a fraction or exponent"}:
        raise Refused("wrong_type", f"timestamp: expected a whole number of milliseconds, got {kind}")
    shown = json_text.decode() if len(json_text) <= 40 else json_text[:40].decode() + "..."
    number: int | float
    # Floats hold every integer below 2**53. Of 5,000 digits float() makes infinity, where int() raises.
    number = int(json_text) if kind == "an integer" and len(json_text) <= 20 else float(json_text)
    if number % 1 > 0:  # an infinite number gives nan here, which is no fraction
        raise Refused("wrong_type", f"timestamp: expected a whole number of milliseconds, got {shown}")
    if not OLDEST_TIMESTAMP_MS <= number < TIMESTAMP_LIMIT_MS:
        allowed = "1e11 <= timestamp < 1e14 (milliseconds since the epoch)"
        raise Refused("timestamp_out_of_range", f"timestamp: {shown} is outside {allowed}")
    return int(number)


def _kind(json_text: bytes) -> str:
    """What a valid JSON value is, in words."""
    kind = _KINDS.get(json_text[:1])
    if kind is None:
        kind = "an integer" if _integer.fullmatch(json_text) else "a number with a fraction or exponent"
    return kind


def _fault_of(error: DecodeError, element: bytes) -> str:
    """The parser's complaint without its preamble; it names a place in bytes and never a value."""
    if not element:
        return "nothing between two commas"
    if "truncated" in str(error):
        return "it ends too early, or an escape is half a surrogate pair"
    return str(error).removeprefix("JSON is malformed: ")
