"""Turns the value of a raw record into events and rejections.

Decides which bytes of a value are elements, who reads them and what becomes of the rest; must not know
records, keys or what becomes of a rejection. Invariants: ``decode`` never raises; every element of a batch is
in exactly one of the two lists, in order; what cannot be split into elements is one rejection; ``data`` and
``extra`` are the sender's own bytes.

A single object is a batch of one event, at index 0. A rejection without index is of a whole value, or of what
follows the end of an array.
"""

import hashlib
from collections.abc import Callable, Generator, Sequence

from msgspec import DecodeError, Raw, json

from worker.core.event_checks import MALFORMED, EventChecks, is_json, is_utf8
from worker.core.fast_path import FastPath
from worker.core.json_elements import (
    WHITE_SPACE,
    Elements,
    is_crowded,
    nests_deeper,
    split_elements,
)
from worker.core.many_elements import ManyElements
from worker.core.many_values import ManyValues, groups
from worker.core.outcomes import sort_outcomes
from worker.core.quick_checks import QuickChecks
from worker.core.quick_split import split_quickly
from worker.core.refusals import Refusal, refuse
from worker.model.events import CutValue, DecodedValue, Event, Rejection
from worker.model.rules import IdentityRules, InputRules

KEPT_OF_TOO_LARGE_BYTES = 64 * 1024
"""So much of a value over the limit is kept in its rejection; the detail has the hash of all of it."""

_BOM = b"\xef\xbb\xbf"

_CUT_OFF = refuse("ends_too_early")

_Read = Callable[[Sequence[bytes], list[Event], list[Rejection]], None]


class Decoder:
    """Decodes values by the given rules. Holds no state: the same value gives the same result."""

    def __init__(self, limits: InputRules, identity: IdentityRules) -> None:
        self._limits = limits
        self._checks = EventChecks(limits, identity)
        quick_checks = QuickChecks(limits, self._checks)
        self._fast_path = FastPath(limits, identity, self._checks, quick_checks)
        self._many_elements = ManyElements(self._fast_path, quick_checks)
        self._many_values = ManyValues(limits, self._fast_path)
        self._read_elements = json.Decoder(list[Raw]).decode

    def decode(self, value: bytes | None) -> DecodedValue:
        """The events in a value, and what of it was refused. Never raises."""
        if value is None:
            return _refused(refuse("tombstone"), b"")
        if len(value) > self._limits.max_value_bytes or isinstance(value, CutValue):
            return self._too_large(value)
        return self._fast_path.decode_plain(value) or self._decode_split(value, self._many_elements.read)

    def _too_large(self, value: bytes) -> DecodedValue:
        if isinstance(value, CutValue):  # its reader did not hold all of it
            size_bytes, sha256 = value.size_bytes, value.sha256
        else:
            size_bytes, sha256 = len(value), hashlib.sha256(value).hexdigest()
        refusal = refuse("too_large", size=size_bytes, most=self._limits.max_value_bytes, all=sha256)
        return _refused(refusal, value[:KEPT_OF_TOO_LARGE_BYTES])

    def decode_many(self, values: Sequence[bytes | None]) -> list[DecodedValue]:
        """What ``decode`` makes of each value. Small ones share a call of the parser. Never raises."""
        decoded: list[DecodedValue] = []
        for start, end in groups(values):
            group = values[start:end]
            if end - start == 1:
                decoded.append(self.decode(group[0]))
            else:
                together = self._many_values.decode_group(group)
                decoded += [found or self.decode(value) for found, value in zip(together, group, strict=True)]
        return decoded

    def decode_in_steps(self, value: bytes) -> Generator[int, None, DecodedValue]:
        """What ``decode`` makes of the value, step by step: whoever has to answer others does so in between.

        Each step gives the number of elements, of which every one will be an event or a rejection. Never
        raises. A step takes a few ms, but for the first, which splits the value, and for an element that is
        larger than most values.
        """
        if len(value) > self._limits.max_value_bytes:
            return self._too_large(value)
        parts = self._parts(value)
        if isinstance(parts, DecodedValue):
            return parts
        count = len(parts.elements)
        yield count
        events: list[Event] = []
        rejections: list[Rejection] = []
        for _ in self._many_elements.steps(parts.elements, events, rejections):
            yield count
        return self._decoded(parts, events, rejections)

    def decode_carefully(self, value: bytes) -> DecodedValue:
        """The same for a value within the size limit, event by event: what all shortcuts must agree with."""
        return self._decode_split(value, self._read_one_by_one)

    def _decode_split(self, value: bytes, read: _Read) -> DecodedValue:
        """Split the value, let ``read`` validate its elements, and refuse what is no element."""
        parts = self._parts(value)
        if isinstance(parts, DecodedValue):
            return parts
        events: list[Event] = []
        rejections: list[Rejection] = []
        read(parts.elements, events, rejections)
        return self._decoded(parts, events, rejections)

    def _parts(self, value: bytes) -> Elements | DecodedValue:
        """The elements of a value and what is left of it; or why all of it is refused."""
        text = value.removeprefix(_BOM).strip(WHITE_SPACE)
        if not text:
            return _refused(refuse("empty_value"), value)
        if text[:1] not in {b"[", b"{"} or b"\0" in text[:4]:  # NUL: UTF-16 or UTF-32
            return _refused(_why_no_events(text), value)
        parts = self._split(text)
        if len(parts.elements) > self._limits.max_events:
            return _refused(refuse("too_many_events", most=self._limits.max_events), value)
        if parts.rest_index is not None and not parts.elements:
            return _refused(self._why_not_split(parts), value)
        return parts

    def _decoded(self, parts: Elements, events: list[Event], rejections: list[Rejection]) -> DecodedValue:
        if parts.rest or parts.rest_index is not None:
            rejections.append(Rejection(*self._why_not_split(parts), parts.rest_index, parts.rest))
        return DecodedValue(events, rejections)

    def _read_one_by_one(
        self, elements: Sequence[bytes], events: list[Event], rejections: list[Rejection]
    ) -> None:
        """Add what becomes of each element to one of the two lists."""
        sort_outcomes(elements, map(self._checks.validate, elements), 0, events, rejections)

    def elements(self, value: bytes) -> list[bytes]:
        """The JSON texts of a value's elements, in order, whether they became events or were refused."""
        return list(self._split(value.removeprefix(_BOM).strip(WHITE_SPACE)).elements)

    def _split(self, text: bytes) -> Elements:
        """The elements of an array, or the one object, and what is left where it is broken JSON."""
        most = self._limits.max_events
        try:
            if text.startswith(b"["):
                if not is_crowded(text, most):
                    return Elements([bytes(element) for element in self._read_elements(text)], b"", None)
            elif is_json(text):
                return Elements([text], b"", None)
        except (DecodeError, RecursionError):  # of what nests too deep for the parser, all is found below
            pass
        return split_quickly(text, most) or split_elements(text, most)

    def _why_not_split(self, parts: Elements) -> Refusal:
        if not is_utf8(parts.rest):
            return refuse("rest_not_utf8")
        most = self._limits.max_depth
        if nests_deeper(parts.rest, most):
            return refuse("rest_too_deep", most=most)
        return _CUT_OFF if parts.cut_off else MALFORMED


def _refused(refusal: Refusal, value: bytes) -> DecodedValue:
    return DecodedValue((), (Rejection(*refusal, None, value),))


def _why_no_events(text: bytes) -> Refusal:
    """Why a text is refused that begins like no array or object."""
    if not is_utf8(text):
        return refuse("value_not_utf8")
    if b"\0" in text[:4]:
        return refuse("value_binary")
    if is_json(text):
        return refuse("not_events")
    return MALFORMED
