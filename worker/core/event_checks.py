"""One element of a batch becomes an event, or is refused with the first reason that applies.

This is the readable form of every rule about a single event; the decoder's fast path must agree with it and a
property test holds the two together. It must not know batches, records or Kafka. Invariants: never raises; an
event that comes out obeys every rule, and its ``data`` and ``extra`` are the sender's own bytes.

The order of the checks is fixed, so that the reason for an element never changes:

1. structure: ``not_utf8``, ``too_deep`` (by its brackets alone), ``malformed_json``, ``not_an_object``;
2. the required fields in the order ``id``, ``type``, ``device_id``, ``timestamp``: ``conflicting_alias``,
   ``missing_field``, ``wrong_type``, ``empty_field``, ``too_long``, ``control_character``,
   ``blocked_device_id``, ``timestamp_out_of_range``;
3. ``user_id``, ``session_id``, ``view_id``: ``wrong_type``, ``too_long``, ``control_character``;
4. ``data``: ``data_not_object``, ``data_nested``, ``data_reserved_name``, ``data_too_many_properties``,
   ``too_long``;
5. ``extra``: ``too_long``.

A refusal is returned and not raised: a value can hold thousands, and raising costs more than the check does.
"""

from collections.abc import Callable

from msgspec import DecodeError, Raw, json

from worker.core.characters import holds_control, is_blank
from worker.core.field_values import ALIASES, KINDS, json_of, kind_of, text_of, timestamp_of
from worker.core.json_elements import is_flat, may_have_escaped_names, names_as_sent, nests_deeper
from worker.core.placeholders import NULL_WORDS, device_check, plain_word, user_check
from worker.core.refusals import Refusal, refuse
from worker.model.events import NO_JSON, OPTIONAL_IDS, REQUIRED_TEXTS, Event
from worker.model.rules import IdentityRules, InputRules

MISSING = {
    field: refuse("missing_or_alias", field=field, other=ALIASES[field])
    if field in ALIASES
    else refuse("missing", field=field)
    for field in REQUIRED_TEXTS
}
HOLDS_CONTROL = {field: refuse("holds_control", field=field) for field in (*REQUIRED_TEXTS, *OPTIONAL_IDS)}
_NOT_AN_OBJECT = {kind: refuse("not_object", got=kind) for kind in KINDS.values()}
_NAMES_BUT_DATA = (*ALIASES, *ALIASES.values(), "device_id", "timestamp", *OPTIONAL_IDS)
MALFORMED = refuse("malformed")
_NOTHING = refuse("nothing")
NOT_UTF8 = refuse("not_utf8")
_BLOCKED_DEVICE = refuse("blocked_device", field="device_id")
_UNDERSCORE, _BACKSLASH = b"_\\"  # a number is looked for in bytes at a fifth of the cost of a byte
_any_json = json.Decoder(Raw).decode
_any_string = json.Decoder(str).decode
_properties_of = json.Decoder(dict[str, Raw]).decode


def is_utf8(text: bytes) -> bool:
    """Whether the bytes are UTF-8 in its strict form: no overlong forms, no encoded surrogates."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_json(text: bytes) -> bool:
    """Whether the bytes are one JSON value, their UTF-8 aside.

    Raises RecursionError where the stack has no room for it, which is deeper than elements may nest.
    """
    try:
        _any_json(text)
    except DecodeError:
        return False
    return True


def not_an_object(element: bytes) -> Refusal:
    """Why valid JSON is refused that is no object."""
    return _NOT_AN_OBJECT[kind_of(element)]


def refusal_of_malformed(element: bytes) -> Refusal:
    """Why an element is refused that is no JSON, in words that are no parser's."""
    return MALFORMED if element else _NOTHING


class EventChecks:
    """The rules about a single event, for given limits. Holds no state."""

    def __init__(self, limits: InputRules, identity: IdentityRules) -> None:
        self._limits = limits
        self.too_deep = refuse("too_deep", most=limits.max_depth)
        self._is_no_user = user_check(identity)
        self.is_no_device = device_check(identity)
        """Whether a text is a placeholder instead of a device."""

    def validate(self, element: bytes) -> Event | Refusal:
        """The event in an element, or why there is none."""
        properties = self._properties(element)
        if isinstance(properties, tuple):
            return properties
        event_id = self._pop_required(properties, "id")
        if isinstance(event_id, tuple):
            return event_id
        event_type = self._pop_required(properties, "type")
        if isinstance(event_type, tuple):
            return event_type
        device_id = self._pop_required(properties, "device_id")
        if isinstance(device_id, tuple):
            return device_id
        if refusal := self.refusal_of_device(device_id):
            return refusal
        timestamp = timestamp_of(properties.pop("timestamp", None))
        if isinstance(timestamp, tuple):
            return timestamp
        event = Event(event_id, event_type, device_id, timestamp)
        user_id, session_id, view_id = (properties.pop(name, NO_JSON) for name in OPTIONAL_IDS)
        refusal = self.validate_ids(event, user_id, session_id, view_id)
        return refusal or self._refusal_of_rest(event, properties, element) or event

    def _properties(self, element: bytes) -> dict[str, Raw] | Refusal:
        """The element's properties by name; the last of a repeated name wins."""
        if not element.isascii() and not is_utf8(element):
            return NOT_UTF8
        if nests_deeper(element, self._limits.max_depth):
            return self.too_deep  # before the parser sees it, which has limits of its own
        try:
            if element[:1] == b"{":
                return _properties_of(element)
            _any_json(element)
        except DecodeError:
            return refusal_of_malformed(element)
        return not_an_object(element)

    def _pop_required(self, properties: dict[str, Raw], field: str) -> str | Refusal:
        found = properties.pop(field, NO_JSON)
        other = properties.pop(ALIASES[field], NO_JSON) if field in ALIASES else NO_JSON
        json_text = json_of(found, other, field)
        if not json_text:
            return MISSING[field]
        text = json_text if isinstance(json_text, tuple) else text_of(json_text, field)
        return text if isinstance(text, tuple) else self.required_text(text, field)

    def required_text(self, text: str, field: str) -> str | Refusal:
        """The text of a required field, or why it may not be its text."""
        if is_blank(text):
            return refuse("empty", field=field)
        return self._allowed_text(text, field)

    def _allowed_text(self, text: str, field: str) -> str | Refusal:
        most = self._limits.max_text_bytes
        if 4 * len(text) > most and (refusal := _refusal_of_size(field, len(text.encode()), most)):
            return refusal  # a character is at most 4 bytes of UTF-8
        return HOLDS_CONTROL[field] if holds_control(text) else text

    def refusal_of_device(self, device_id: str) -> Refusal | None:
        """Why an id is refused that is a text as it should be."""
        return _BLOCKED_DEVICE if self.is_no_device(device_id) else None

    def validate_ids(self, event: Event, user_id: Raw, session_id: Raw, view_id: Raw) -> Refusal | None:
        """Give the event the optional ids of these JSON texts, which may be ``NO_JSON``; or why not."""
        user = self._optional_text(user_id, "user_id", self._is_no_user)
        if isinstance(user, tuple):
            return user
        session = self._optional_text(session_id, "session_id", _is_null_word)
        if isinstance(session, tuple):
            return session
        view = self._optional_text(view_id, "view_id", _is_null_word)
        if isinstance(view, tuple):
            return view
        event.user_id, event.session_id, event.view_id = user, session, view
        return None

    def _optional_text(
        self, found: Raw, field: str, means_none: Callable[[str], bool]
    ) -> str | Refusal | None:
        if found is NO_JSON or (json_text := bytes(found)) == b"null":
            return None
        text = text_of(json_text, field)
        if isinstance(text, tuple):
            return text
        return None if means_none(text) else self._allowed_text(text, field)

    def validate_rest(self, event: Event, element: bytes) -> Refusal | None:
        """Give the event of an element, which has all its ids, its ``data`` and ``extra``; or why not."""
        properties = _properties_of(element)
        for name in _NAMES_BUT_DATA:
            properties.pop(name, None)
        return self._refusal_of_rest(event, properties, element)

    def _refusal_of_rest(self, event: Event, properties: dict[str, Raw], element: bytes) -> Refusal | None:
        data = properties.pop("data", None)
        if data is not None and (json_text := bytes(data)) != b"null":
            if refusal := self.refusal_of_data(json_text):
                return refusal
            event.data = Raw(json_text)
        if properties:
            most = self._limits.max_object_bytes
            # Measured first: to put 90,000 properties together takes most of the time.
            if len(element) > most and _least_extra_bytes(properties) > most:
                return refuse("extra_too_long", field="extra", most=most)
            extra = _extra(properties, element)
            if len(extra) > most:
                return refuse("extra_too_long", field="extra", most=most)
            event.extra = Raw(extra)
        return None

    def refusal_of_data(self, data: bytes) -> Refusal | None:
        """Why ``data`` (valid JSON, not null) is no object within the rules, None where it is one."""
        if not data.startswith(b"{"):
            return refuse("data_kind", field="data", got=kind_of(data))
        if not is_flat(data):  # also in what a repeated name replaced, for data goes out as it was sent
            return refuse("data_nested", field="data")
        properties = _properties_of(data)
        if _UNDERSCORE in data or _BACKSLASH in data:  # an underscore may be written \u005f
            for place, name in enumerate(properties, 1):
                if name.startswith("_"):
                    return refuse("data_reserved", field="data", size=place)
        most = self._limits.max_properties
        if len(properties) > most:
            return refuse("data_properties", field="data", size=len(properties), most=most)
        return _refusal_of_size("data", len(data), self._limits.max_object_bytes)


def _is_null_word(text: str) -> bool:
    return plain_word(text) in NULL_WORDS


def _refusal_of_size(field: str, size: int, most: int) -> Refusal | None:
    return refuse("too_long", field=field, size=size, most=most) if size > most else None


def _least_extra_bytes(properties: dict[str, Raw]) -> int:
    """The least size of ``_extra``: names, values, four characters for each. Escapes in names are longer."""
    return 4 * len(properties) + 1 + len("".join(properties).encode()) + sum(map(len, properties.values()))


def _extra(properties: dict[str, Raw], element: bytes) -> bytes:
    """An object of the properties that are no fields, names and values as they were sent."""
    if may_have_escaped_names(element):  # the last of a repeated name wins; each spelling is read once
        spellings = dict.fromkeys(reversed(names_as_sent(element)))
        names = {_any_string(name): name for name in reversed(spellings)}
    else:
        names = {name: b'"%b"' % name.encode() for name in properties}
    return b"{%b}" % b",".join([names[name] + b":" + bytes(value) for name, value in properties.items()])
