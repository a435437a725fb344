"""Reads several small values in one call of the parser.

A call costs more than an event, and many records hold one event. Decides which values may share a call and
proves that nothing flowed from one into another. Must agree with the fast path on every value it does not
leave to it; a property test holds the two together.

Why the proof holds: the values are joined by a comma and line breaks, which JSON allows in no string, and
each begins with ``[`` and ends with ``]``. So a join stands between two top-level arrays, where it belongs,
or between two arrays inside an event, as a value of ``data`` or of what a repeated name replaced. Then there
are brackets that neither arrays nor events nor their ``data`` account for. If there are none every value is
whole arrays, and if there are as many arrays as values each is one.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from msgspec import DecodeError, json

from worker.core.fast_path import FastPath
from worker.core.json_elements import brackets_outside_strings, opening_brackets
from worker.model.events import NO_JSON, DecodedValue, Event
from worker.model.rules import InputRules

SEPARATOR = b",\n\r\t \n"
MOST_BYTES = 2 * 1024
"""A larger value does not gain from company."""
_MOST_TOGETHER_BYTES = 16 * 1024
"""Not more, because one bad value sends its whole group to the slow path."""
_OPENING, _CLOSING = b"[]"


class ManyValues:
    """Decodes groups of plain values by the given rules. Holds no state."""

    def __init__(self, limits: InputRules, fast_path: FastPath) -> None:
        self._limits = limits
        self._fast_path = fast_path
        self._read_batches = json.Decoder(list[list[Event]]).decode

    def decode_group(self, values: Sequence[bytes | None]) -> list[DecodedValue | None]:
        """What the fast path makes of each value; None for one that is left to it. Never raises."""
        joined = b"[" + SEPARATOR.join([value for value in values if value is not None]) + b"]"
        left: list[DecodedValue | None] = [None] * len(values)
        try:
            batches = self._read_batches(joined)
            if not joined.isascii():
                joined.decode()
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return left
        if len(batches) != len(values):
            return left
        events = list(chain.from_iterable(batches))
        if max(map(len, batches)) > self._limits.max_events:
            return left
        unproven = self._fast_path.unproven(events, joined)
        if unproven:
            objects = sum([bytes(event.data)[:1] == b"{" for event in events])
        else:
            objects = sum([event.data is not NO_JSON for event in events])
        known = 1 + len(batches) + len(events) + objects
        if opening_brackets(joined) != known and opening_brackets(brackets_outside_strings(joined)) != known:
            return left
        if not unproven:
            return [DecodedValue(batch) for batch in batches]
        decoded: list[DecodedValue | None] = []
        start = 0
        for batch in batches:
            plain = unproven.isdisjoint(range(start, start + len(batch)))
            decoded.append(DecodedValue(batch) if plain else None)
            start += len(batch)
        return decoded


def groups(values: Sequence[bytes | None]) -> Iterator[tuple[int, int]]:
    """(start, end) of runs of values that may share a call: arrays, together of a few kilobytes."""
    start = size = 0
    for place, value in enumerate(values):
        length = len(value) if value else 0
        shares = value and length <= MOST_BYTES and value[0] == _OPENING and value[-1] == _CLOSING
        if place > start and (not shares or size + length > _MOST_TOGETHER_BYTES):
            yield start, place
            start, size = place, 0
        if shares:
            size += length
        else:
            yield place, place + 1
            start = place + 1
    if start < len(values):
        yield start, len(values)
