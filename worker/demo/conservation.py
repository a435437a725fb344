"""Whether every event that went in came out exactly once: enriched, or dead-lettered.

It reads the raw values with the standard library's JSON and not with the worker's decoder, which might be
wrong in the same way. It trusts no counter of the worker: only what stands in the topics counts.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from worker.model.events import InputRecord
from worker.model.outputs import DeadLetter, EnrichedEvent

Place = tuple[int, int, int | None]
"""Partition, offset and index in the batch; no index for a value as a whole."""


class Account(Struct, frozen=True):
    """How the events of the raw topic fared.

    ``events_sent`` is the sender's own count, ``events_in`` what stands in the raw topic. ``missing`` have no
    fate; ``surplus`` have more than one, or came from nowhere. Both name events by id, or by their place in
    the raw topic where they have none.
    """

    events_sent: int
    events_in: int
    enriched: int
    dead_lettered: int
    missing: Sequence[str]
    surplus: Sequence[str]

    @property
    def balanced(self) -> bool:
        """Every event that was sent is there, and has exactly one fate."""
        return self.events_in == self.events_sent and not self.missing and not self.surplus


def settle(
    events_sent: int,
    raw: Iterable[InputRecord],
    enriched: Sequence[EnrichedEvent],
    dead_letters: Sequence[DeadLetter],
) -> Account:
    """Compare what went in with what came out, event by event.

    A value that is no JSON is one event, and so is one that was refused as a whole. Never raises.
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
    return Account(
        events_sent=events_sent,
        events_in=events_in,
        enriched=len(enriched),
        dead_lettered=len(dead_letters),
        missing=list((expected - out).elements()),
        surplus=[*(out - expected).elements(), *map(_describe, (+refused).elements())],
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
