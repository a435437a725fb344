"""Every event that a raw topic holds, by its id: where it came first, and what it is.

An hour of chaos sends ten million events, so one costs an entry in a dictionary and no more: it is decoded
again from its record when an output shows it; by the slow path, since the workers take the fast one.
Invariant: an event is left from when it was taken in until an output showed it, so that what is left in the
end was lost. Of two records that hold the same event, the same in all, nobody can tell which one came out.
"""

from collections.abc import Sequence
from functools import lru_cache

from aiokafka import ConsumerRecord

from tests.slow_path_decoder import SlowPathDecoder
from worker.config import Config
from worker.core.encode import encode_step
from worker.core.pipeline import DecodedRecords, process
from worker.model.events import DecodedValue, Event
from worker.model.outputs import OutputRecord
from worker.model.state import ExpiryClock

Place = tuple[int, int, int]
"""Partition of the raw topic, record in it, and event among those of the record that are fine."""

_RECORDS_KEPT_DECODED = 20_000
_RECORD_BITS = _EVENT_BITS = 24


class Sent:
    """The events of the raw topic that are fine.

    A producer of the raw topic may append a batch twice, when brokers fail: its events are then there twice,
    and each of an event's places is given once.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._decoder = SlowPathDecoder(config.input, config.identity)
        self._records: dict[int, Sequence[ConsumerRecord]] = {}
        self._left: dict[str, int] = {}
        self._left_again: dict[str, list[int]] = {}
        self._decoded = lru_cache(_RECORDS_KEPT_DECODED)(self._decode)
        self.unknown = 0
        """Events that an output showed and nobody had sent, or not so often."""

    def take(self, number: int, records: Sequence[ConsumerRecord]) -> list[OutputRecord]:
        """Take in one partition; what its dead letters must be, in order."""
        self._records[number] = records
        letters: list[OutputRecord] = []
        for position, record in enumerate(records):
            decoded = self._decoder.decode(record.value)
            if decoded.rejections:
                refused = DecodedRecords([record], [DecodedValue([], decoded.rejections)], frozenset())
                letters += encode_step(process(refused, {}, 0, ExpiryClock(), self._config.rules))[
                    "dead_letters"
                ]
            for index, event in enumerate(decoded.events):
                place = _packed(number, position, index)
                first = self._left.setdefault(event.id, place)
                if first != place:
                    assert _unpacked(first)[0] == number, f"{event.id} was sent to two partitions"
                    self._left_again.setdefault(event.id, []).append(place)
        return letters

    def seen(self, event_id: str) -> Place | None:
        """The first place of this event that was not given yet. None, and counted: there is no such place."""
        place = self._left.pop(event_id, None)
        if place is None:
            self.unknown += 1
            return None
        again = self._left_again.pop(event_id, None)
        if again:
            self._left[event_id] = again.pop(0)
            self._left_again[event_id] = again
        return _unpacked(place)

    def at(self, place: Place) -> tuple[ConsumerRecord, Event]:
        """The event there, and its record."""
        number, position, index = place
        return self._records[number][position], self._decoded(number, position)[index]

    @property
    def left(self) -> int:
        """How many events no output has shown."""
        return len(self._left) + sum(map(len, self._left_again.values()))

    def _decode(self, number: int, position: int) -> Sequence[Event]:
        return self._decoder.decode(self._records[number][position].value).events


def _packed(number: int, position: int, index: int) -> int:
    assert position < 1 << _RECORD_BITS
    assert index < 1 << _EVENT_BITS
    return (number << _RECORD_BITS | position) << _EVENT_BITS | index


def _unpacked(packed: int) -> Place:
    position = packed >> _EVENT_BITS
    return position >> _RECORD_BITS, position & (1 << _RECORD_BITS) - 1, packed & (1 << _EVENT_BITS) - 1
