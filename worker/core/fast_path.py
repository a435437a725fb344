"""Reads values that are as they should be, many events at a time.

The JSON parser decodes a whole array of events in one call and checks types, required fields and the range
of timestamps with it. The other rules are proved for all events at once, by looking for what could break
them; an event for which a proof fails is validated with care (``core.event_checks``), alone. Batches that use
other names or bring properties of their own are rewritten first (``core.normalization``).

Must agree with the slow path on every value it does not leave to it: a property test holds the two
together. It exists because decoding would be half of the worker's CPU time: validating each event with care
takes seven times as long.
"""

import re

from msgspec import DecodeError, Raw, json

from worker.core.event_checks import EventChecks
from worker.core.json_elements import (
    WHITE_SPACE,
    is_crowded,
    may_have_escaped_names,
    nests_deeper,
    opening_brackets,
)
from worker.core.normalization import normalize
from worker.core.outcomes import sort_outcomes
from worker.core.placeholders import FIRST_OF_NULL_WORDS, NULL_WORDS, plain_word, user_check
from worker.core.quick_checks import QuickChecks
from worker.core.refusals import Refusal
from worker.core.remembered_refusals import RefusalCache
from worker.model.events import NO_JSON, DecodedValue, Event, Rejection
from worker.model.rules import IdentityRules, InputRules

# Each looks for one byte at the speed of memchr, then around it: six times faster than for two bytes.
# The datas of a batch are joined by NUL, which valid JSON cannot hold. What is nested comes after a colon. A
# quote inside a string comes after a backslash, so one after a brace, comma or white space begins a string.
_data_is_no_object = re.compile(rb"\0(?!\{)").search
_data_holds_object = re.compile(rb"\{(?<=[: \t\n\r]\{)").search
_data_holds_array = re.compile(rb"\[(?<=[: \t\n\r]\[)").search
# A number is looked for in bytes at a fifth of the cost of a byte. U+0080 to U+009F begin with 0xC2.
_BACKSLASH, _UNDERSCORE, _BRACKET, _DELETE, _FIRST_OF_C1 = b"\\_[\x7f\xc2"
_SAMPLE = 16
_SAMPLED_FROM_BYTES = 8 * 1024
_data_has_reserved_name = re.compile(
    rb'_(?<=[{, \t\n\r]"_)[^"\\]*+(?:\\.[^"\\]*+)*+"[ \t\n\r]*+:', re.DOTALL
).search


class FastPath:
    """Decodes plain batches by the given rules. Holds no state."""

    def __init__(
        self, limits: InputRules, identity: IdentityRules, checks: EventChecks, quick_checks: QuickChecks
    ) -> None:
        self._limits = limits
        self._checks = checks
        self._quick_checks = quick_checks
        self._read_events = json.Decoder(list[Event]).decode
        self._read_event = json.Decoder(Event).decode
        self._read_batch_properties = json.Decoder(list[dict[str, Raw]]).decode
        self._read_event_properties = json.Decoder(dict[str, Raw]).decode
        self._read_elements = json.Decoder(list[Raw]).decode
        self._is_no_user = user_check(identity)
        # The shortest object of n properties, {"":0,"":0}, has 5n + 1 bytes.
        self._surely_fine_data_bytes = min(5 * (limits.max_properties + 1), limits.max_object_bytes)

    def decode_plain(self, value: bytes) -> DecodedValue | None:
        """What the slow path makes of the value, or None where that is left to it. Never raises."""
        extras: list[bytes] | None = None
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
            try:
                events, extras = self._read_normalized(value)
            except (DecodeError, UnicodeDecodeError, RecursionError):
                return None
        if len(events) > self._limits.max_events:
            return None

        unproven = self._unproven_texts(events, value)
        refused = self._refused_data(events)
        if self._may_nest_too_deep(events, value, data_is_flat=not refused):
            return None
        if extras is not None:
            unproven |= self._unproven_extras(events, extras)
        if unproven or refused:
            return self._validated(events, value, unproven, refused)
        return DecodedValue(events)

    def unproven(self, events: list[Event], value: bytes) -> set[int]:
        """Take placeholders out of the events; the indexes of those that may break a rule."""
        return self._unproven_texts(events, value).union(self._refused_data(events))

    def _may_nest_too_deep(self, events: list[Event], value: bytes, *, data_is_flat: bool) -> bool:
        """Whether an event may be too deep, if only by what a repeated name replaced. False is certain."""
        most = self._limits.max_depth
        is_array = value.startswith(b"[")
        more = opening_brackets(value) - is_array - len(events)  # than one an event
        if more < most:  # too deep is what has so many and one more
            return False
        if data_is_flat and more - sum(event.data is not NO_JSON for event in events) < most:
            return False  # flat data is no part of what is too deep: its bracket is one more
        return nests_deeper(value, most + is_array)

    def _read_normalized(self, value: bytes) -> tuple[list[Event], list[bytes]]:
        """The events and each one's ``extra``. Raises as the decoders do where they are not to be read so."""
        value.decode()
        if may_have_escaped_names(value) or is_crowded(value, self._limits.max_events):
            raise DecodeError
        if value[:1] != b"[":
            return self._normalized([self._read_event_properties(value)])
        if len(value) > _SAMPLED_FROM_BYTES:  # what is refused at once shall not cost a rewrite of all
            sample = self._read_elements(value)[:_SAMPLE]
            self._normalized([self._read_event_properties(element) for element in sample])
        return self._normalized(self._read_batch_properties(value))

    def _normalized(self, batch: list[dict[str, Raw]]) -> tuple[list[Event], list[bytes]]:
        normalized = normalize(batch)
        if normalized is None:
            raise DecodeError
        text, extras = normalized
        return self._read_events(text), extras

    def _unproven_texts(self, events: list[Event], value: bytes) -> set[int]:
        """Take placeholders out of optional ids; the indexes of events whose texts may break a rule."""
        unproven = set()
        short = self._quick_checks.surely_short_chars
        is_no_user, is_no_device = self._is_no_user, self._quick_checks.is_no_device
        may_hold_control_characters = _BACKSLASH in value or _DELETE in value or _FIRST_OF_C1 in value
        device_id = ""
        device_fine = False
        known_user = ""
        user_is_nobody = True
        for index, event in enumerate(events):
            if event.device_id != device_id:  # a run of one device's events is checked once
                device_id = event.device_id
                device_fine = len(device_id) <= short and not is_no_device(device_id)
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
                if user_id != known_user:  # a run of one user's events is checked once
                    known_user = user_id
                    user_is_nobody = is_no_user(user_id)
                if user_is_nobody:
                    event.user_id = None
                elif len(user_id) > short:
                    fine = False
            if (session_id := event.session_id) is not None:
                if session_id[:1] in FIRST_OF_NULL_WORDS and plain_word(session_id) in NULL_WORDS:
                    event.session_id = None
                elif len(session_id) > short:
                    fine = False
            if (view_id := event.view_id) is not None:
                if view_id[:1] in FIRST_OF_NULL_WORDS and plain_word(view_id) in NULL_WORDS:
                    event.view_id = None
                elif len(view_id) > short:
                    fine = False
            if not fine or (may_hold_control_characters and not _is_printable(event)):
                unproven.add(index)
        return unproven

    def _surely_fine_data(self, events: list[Event]) -> bool:
        """Whether every ``data`` is an object within the rules. False proves nothing."""
        datas = [data for event in events if (data := event.data) is not NO_JSON]
        if not datas:
            return True
        joined = b"\0" + b"\0".join(datas)
        braces = len(joined) - len(joined.replace(b"{", b""))  # several times as fast as count
        if (
            _data_is_no_object(joined)
            or (braces != len(datas) and _data_holds_object(joined))
            or (_BRACKET in joined and _data_holds_array(joined))
            or (_UNDERSCORE in joined and _data_has_reserved_name(joined))
            or (_BACKSLASH in joined and b"\\u005" in joined)  # an underscore may be written \u005f
        ):
            return False
        longest = max(map(len, datas))
        if longest <= self._surely_fine_data_bytes:
            return True
        most_colons = max([data.count(b":") for data in joined.split(b"\0")])
        return longest <= self._limits.max_object_bytes and most_colons <= self._limits.max_properties

    def _refused_data(self, events: list[Event]) -> dict[int, Refusal]:
        """Take out ``null``; why each other ``data`` is refused, by index."""
        refused: dict[int, Refusal] = {}
        if self._surely_fine_data(events):
            return refused
        for event in events:
            if len(event.data) == 4 and bytes(event.data) == b"null":
                event.data = NO_JSON
        if self._surely_fine_data(events):
            return refused
        for index, event in enumerate(events):
            if event.data is not NO_JSON and (refusal := self._checks.refusal_of_data(bytes(event.data))):
                refused[index] = refusal
        return refused

    def _unproven_extras(self, events: list[Event], extras: list[bytes]) -> set[int]:
        """Give the events their ``extra``; the indexes of those that may break a rule."""
        unproven = set()
        most = self._limits.max_object_bytes
        for index, (event, extra) in enumerate(zip(events, extras, strict=True)):
            if extra:
                event.extra = Raw(extra)
                if len(extra) > most:
                    unproven.add(index)
        return unproven

    def _validated(
        self, events: list[Event], value: bytes, unproven: set[int], refused: dict[int, Refusal]
    ) -> DecodedValue:
        """Validate the unproven events with care. Others are ``refused`` for their data, or kept."""
        elements = self._read_elements(value) if value.startswith(b"[") else [value.strip(WHITE_SPACE)]
        outcomes: dict[int, Event | Refusal] = {**refused}
        to_validate = {index: bytes(elements[index]) for index in unproven}
        validated = self._quick_checks.validate_all(list(to_validate.values()), RefusalCache())
        outcomes.update(zip(to_validate, validated, strict=True))

        kept: list[Event] = []
        rejections: list[Rejection] = []
        found = [outcomes.get(index, event) for index, event in enumerate(events)]
        sort_outcomes(elements, found, 0, kept, rejections)
        return DecodedValue(kept, rejections)


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
