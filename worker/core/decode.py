"""Turns the value of a raw record into events and rejections.

Decides which bytes are events; must not know records, keys or what becomes of a rejection. Invariants:
``decode`` never raises; every element of a batch is in exactly one of the two lists, in order; what cannot be
split into elements is one rejection; ``data`` and ``extra`` are the sender's own bytes.

Most values are arrays of plain events, so the fast path decodes the whole array in one call and proves the
other rules for all events at once, by looking for what could break them. Where a proof fails for an event,
that event alone is read with care (``core.event_checks``); where the array is not of plain events, all are.
The careful path reads every value and is the truth: a property test holds the fast path equal to it.
"""

import hashlib
import re

from msgspec import DecodeError, Raw, json

from worker.core.event_checks import (
    NULL_WORDS,
    EventChecks,
    Refused,
    is_json,
    is_utf8,
    plain_word,
    plain_words,
)
from worker.core.json_elements import WHITE_SPACE, Elements, nests_deeper, split_elements
from worker.model.events import NO_JSON, DecodedValue, Event, Reason, Rejection
from worker.model.rules import IdentityRules, InputRules

KEPT_OF_TOO_LARGE_BYTES = 64 * 1024
"""So much of a value over the limit is kept in its rejection; the detail has the hash of all of it."""

_BOM = b"\xef\xbb\xbf"
# First characters that a null-like word may have, quotes, white space and all; others need no closer look.
_FIRST_OF_NULL_WORDS = frozenset(
    {"", *"nNuU\"'`", *(character for character in map(chr, range(0x3001)) if character.isspace())}
)
# Each looks for one byte at the speed of memchr, then around it: six times faster than for two bytes.
# The datas of a batch are joined by NUL, which valid JSON cannot hold.
_data_is_no_object = re.compile(rb"\0(?!\{)").search
_data_holds_object = re.compile(rb"\{(?<!\0\{)").search
_data_has_reserved_name = re.compile(rb'_(?<="_)').search


class Decoder:
    """Decodes values by the given rules. Holds no state: the same value gives the same result."""

    def __init__(self, limits: InputRules, identity: IdentityRules) -> None:
        self._limits = limits
        self._checks = EventChecks(limits, identity)
        self._read_events = json.Decoder(list[Event]).decode
        self._read_event = json.Decoder(Event).decode
        self._read_elements = json.Decoder(list[Raw]).decode
        self._blocked_users = plain_words(identity.blocked_user_ids)
        self._blocked_devices = plain_words(identity.blocked_device_ids)
        # A character is at most 4 bytes of UTF-8.
        self._surely_short_chars = limits.max_text_bytes // 4
        # The shortest object of n properties, {"":0,"":0}, has 5n + 1 bytes.
        self._surely_fine_data_bytes = min(5 * (limits.max_properties + 1), limits.max_object_bytes)

    def decode(self, value: bytes | None) -> DecodedValue:
        """The events in a value and what of it was refused. Never raises."""
        if value is None:
            return _refused("tombstone", "the record has no value", b"")
        if len(value) > self._limits.max_value_bytes:
            return self._too_large(value)
        return self._decode_fast(value) or self.decode_carefully(value)

    def decode_carefully(self, value: bytes) -> DecodedValue:
        """The same as ``decode``, without its short cuts, for a value within the size limit. Never raises."""
        text = value.removeprefix(_BOM).strip(WHITE_SPACE)
        if not text:
            return _refused("empty_value", "the value is empty", value)
        if text[:1] not in {b"[", b"{"} or b"\0" in text[:4]:  # NUL: UTF-16 or UTF-32
            return _refused(*_why_not_events(text), value)

        elements, rest, rest_index = self._split(text)
        if len(elements) > self._limits.max_events:
            return self._too_many_events(value)
        if rest_index is not None and not elements:
            return _refused(*self._why_not_split(rest), value)

        events = []
        rejections = []
        for index, element in enumerate(elements):
            outcome = self._checks.read(element, index)
            if isinstance(outcome, Event):
                events.append(outcome)
            else:
                rejections.append(outcome)
        if rest:
            rejections.append(Rejection(*self._why_not_split(rest), rest_index, rest))
        return DecodedValue(events, rejections)

    def _decode_fast(self, value: bytes) -> DecodedValue | None:
        """The same as ``decode_carefully``, or None where the value is not an array of plain events."""
        try:
            if value.startswith(b"["):
                events = self._read_events(value)
            elif value.startswith(b"{"):
                events = [self._read_event(value)]
            else:
                return None
            if not value.isascii():
                value.decode()
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if len(events) > self._limits.max_events:
            return self._too_many_events(value)
        doubtful = self._doubtful_texts(events, value)
        if not self._all_data_fine(events):
            doubtful |= self._doubtful_data(events)
        if not doubtful:
            return DecodedValue(events)
        return self._read_again(events, value, doubtful)

    def _doubtful_texts(self, events: list[Event], value: bytes) -> set[int]:
        """Take placeholders out of optional ids; the indexes of events whose texts may break a rule."""
        doubtful = set()
        short = self._surely_short_chars
        blocked_users = self._blocked_users
        may_hold_control_characters = b"\\" in value or b"\x7f" in value or b"\xc2" in value
        device_id = ""
        device_fine = False
        for index, event in enumerate(events):
            if event.device_id != device_id:  # a run of one device's events is checked once
                device_id = event.device_id
                device_fine = len(device_id) <= short and plain_word(device_id) not in self._blocked_devices
            event_id = event.id
            event_type = event.type
            fine = (
                device_fine
                and not event_id.isspace()
                and not event_type.isspace()
                and len(event_id) <= short
                and len(event_type) <= short
                and event.extra is NO_JSON  # a property of that name is not a field
            )
            if (user_id := event.user_id) is not None:
                if plain_word(user_id) in blocked_users:
                    event.user_id = None
                elif len(user_id) > short:
                    fine = False
            if (session_id := event.session_id) is not None:
                if session_id[:1] in _FIRST_OF_NULL_WORDS and plain_word(session_id) in NULL_WORDS:
                    event.session_id = None
                elif len(session_id) > short:
                    fine = False
            if (view_id := event.view_id) is not None:
                if view_id[:1] in _FIRST_OF_NULL_WORDS and plain_word(view_id) in NULL_WORDS:
                    event.view_id = None
                elif len(view_id) > short:
                    fine = False
            if not fine or (may_hold_control_characters and not _is_printable(event)):
                doubtful.add(index)
        return doubtful

    def _all_data_fine(self, events: list[Event]) -> bool:
        """Whether every ``data`` surely obeys the rules. False proves nothing."""
        datas = [data for event in events if (data := event.data) is not NO_JSON]
        if not datas:
            return True
        joined = b"\0" + b"\0".join(datas)
        longest = max(map(len, datas))
        return (
            b"[" not in joined
            and not _data_is_no_object(joined)
            and not _data_holds_object(joined)
            and not _data_has_reserved_name(joined)
            and b"\\u005" not in joined  # an underscore may be written \u005f
            and (longest <= self._surely_fine_data_bytes or self._surely_few_properties(joined, longest))
        )

    def _surely_few_properties(self, joined: bytes, longest: int) -> bool:
        if longest > self._limits.max_object_bytes:
            return False
        most_colons = max([data.count(b":") for data in joined.split(b"\0")])
        return most_colons <= self._limits.max_properties

    def _doubtful_data(self, events: list[Event]) -> set[int]:
        """Take out ``null``; the indexes of events whose ``data`` breaks a rule."""
        doubtful = set()
        for index, event in enumerate(events):
            if event.data is NO_JSON:
                continue
            data = bytes(event.data)
            if data == b"null":
                event.data = NO_JSON
                continue
            try:
                self._checks.check_data(data)
            except (Refused, RecursionError):
                doubtful.add(index)
        return doubtful

    def _read_again(self, events: list[Event], value: bytes, doubtful: set[int]) -> DecodedValue | None:
        """Let the careful path judge the doubtful events; the others stay as they are."""
        try:
            elements = self._read_elements(value) if value.startswith(b"[") else [value]
        except RecursionError:
            return None
        kept = []
        rejections = []
        for index, event in enumerate(events):
            outcome = self._checks.read(bytes(elements[index]), index) if index in doubtful else event
            if isinstance(outcome, Event):
                kept.append(outcome)
            else:
                rejections.append(outcome)
        return DecodedValue(kept, rejections)

    def _split(self, text: bytes) -> Elements:
        try:
            if text.startswith(b"["):
                return Elements([bytes(element) for element in self._read_elements(text)], b"", None)
            if is_json(text):
                return Elements([text], b"", None)
        except (DecodeError, RecursionError):
            pass
        return split_elements(text, self._limits.max_events)

    def _why_not_split(self, rest: bytes) -> tuple[Reason, str]:
        if not is_utf8(rest):
            return "not_utf8", "the bytes are not UTF-8, and not valid JSON"
        most = self._limits.max_depth
        if nests_deeper(rest, most):
            return (
                "too_deep",
                f"nests deeper than {self._limits.max_depth} levels, and cannot be split into events",
            )
        return "malformed_json", "not valid JSON, and cannot be split into events"

    def _too_large(self, value: bytes) -> DecodedValue:
        found = f"{len(value)} bytes, at most {self._limits.max_value_bytes} are allowed"
        detail = f"the value has {found}; the sha256 of all of it is {hashlib.sha256(value).hexdigest()}"
        return _refused("too_large", detail, value[:KEPT_OF_TOO_LARGE_BYTES])

    def _too_many_events(self, value: bytes) -> DecodedValue:
        detail = f"the value has more than {self._limits.max_events} events"
        return _refused("too_many_events", detail, value)


def _refused(reason: Reason, detail: str, value: bytes) -> DecodedValue:
    return DecodedValue((), (Rejection(reason, detail, None, value),))


def _why_not_events(text: bytes) -> tuple[Reason, str]:
    """Why a text that begins like no array or object is not events."""
    if not is_utf8(text):
        return "not_utf8", "the value is not UTF-8"
    if b"\0" in text[:4]:
        return "malformed_json", "the value looks like UTF-16 or UTF-32, or is binary; send UTF-8"
    if is_json(text):
        return "not_an_event_array", "expected an array of events or one event object"
    return "malformed_json", "the value is not valid JSON"


def _is_printable(event: Event) -> bool:
    """Whether no text holds a control character, nor others that only a closer look tells apart."""
    return (
        event.id.isprintable()
        and event.type.isprintable()
        and event.device_id.isprintable()
        and (event.user_id is None or event.user_id.isprintable())
        and (event.session_id is None or event.session_id.isprintable())
        and (event.view_id is None or event.view_id.isprintable())
    )
