"""Checks that every event that went in came out exactly once: enriched, or as a dead letter.

Reads the raw values with the standard library's JSON, because the worker's own decoder might hide its own
errors. Knows no counter of the worker. The invariant: only the records in the topics count.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from worker.model.events import InputRecord
from worker.model.outputs import DeadLetter, EnrichedEvent

Place = tuple[int, int, int | None]
"""Partition, offset and index in the batch; no index for a value as a whole."""


class Audit(Struct, frozen=True):
    """What became of the events of the raw topic.

    ``events_sent`` is the sender's count, ``events_in`` that of the raw topic. ``missing`` events have no
    outcome; ``unexpected`` ones have a second outcome, or were never sent. Both are named by id, or by the
    place in the raw topic where an event has no id.
    """

    events_sent: int
    events_in: int
    enriched: int
    dead_letters: int
    missing: Sequence[str]
    unexpected: Sequence[str]

    @property
    def passed(self) -> bool:
        """Whether every event that was sent is there, and has exactly one outcome."""
        return self.events_in == self.events_sent and not self.missing and not self.unexpected


def audit(
    events_sent: int,
    raw: Iterable[InputRecord],
    enriched: Sequence[EnrichedEvent],
    dead_letters: Sequence[DeadLetter],
) -> Audit:
    """Compare what went in with what came out, event by event. Never raises.

    A value that is no JSON counts as one event, and so does one that was refused as a whole.
    """
    refused = Counter((letter.partition, letter.offset, letter.index) for letter in dead_letters)
    expected: Counter[str] = Counter()
    events_in = 0
    for record in raw:
        for place, id_ in _events(record, refused):
            events_in += 1
            if refused[place]:
                refused[place] -= 1
            else:
                expected[id_] += 1
    out = Counter(event.id for event in enriched)
    return Audit(
        events_sent=events_sent,
        events_in=events_in,
        enriched=len(enriched),
        dead_letters=len(dead_letters),
        missing=list((expected - out).elements()),
        unexpected=[*(out - expected).elements(), *map(_describe, (+refused).elements())],
    )


def _events(record: InputRecord, refused: Counter[Place]) -> Iterable[tuple[Place, str]]:
    """The events of one raw value, each with its place and its id."""
    whole = (record.partition, record.offset, None)
    try:
        elements = json.loads(record.value or b"")
    except ValueError:
        elements = None
    if isinstance(elements, dict):
        elements = [elements]
    if not isinstance(elements, list) or refused[whole]:
        return [(whole, _describe(whole))]
    places = [(record.partition, record.offset, index) for index in range(len(elements))]
    return [(place, _id(element, place)) for place, element in zip(places, elements, strict=True)]


def _id(element: object, place: Place) -> str:
    id_ = element.get("id", element.get("event_id")) if isinstance(element, dict) else None
    return _describe(place) if id_ is None else str(id_)


def _describe(place: Place) -> str:
    partition, offset, index = place
    if index is None:
        return f"the value at offset {offset} in partition {partition}"
    return f"event {index} of offset {offset} in partition {partition}"
