"""Checks that each committed transaction holds exactly the records between its offsets and those before.

Reads the meta records in the changelog, and in the other topics the records of the same transaction. Knows
nothing of faults or tasks. A broken promise raises ``BrokenPromiseError``.
"""

from collections import Counter
from collections.abc import Iterator

from tests.simulation.broken_promise import BrokenPromiseError
from tests.simulation.broker import Broker, Entry, TransactionUnit
from tests.simulation.sent_elements import Place, Sent
from tests.simulation.traffic import name_of
from worker.core.state_codec import META_KEY, decode_meta
from worker.model.state import Meta
from worker.task.layout import TaskTopics


def committed_transactions(
    broker: Broker, topics: TaskTopics, partition: int
) -> Iterator[tuple[TransactionUnit, Meta]]:
    """The transactions of one partition's task, in order, each with its meta record."""
    for _, entry in broker.history((topics.changelog, partition)):
        assert entry.record is not None
        key, value, _ = entry.record
        if key == META_KEY:
            assert entry.unit is not None
            yield entry.unit, decode_meta(value or b"")


def check_transactions(broker: Broker, topics: TaskTopics, sent: Sent) -> None:
    """P4: every element between a transaction's offsets and those before it is in that transaction, once.

    It is enriched where its device belongs to this partition, a dead letter where it must be refused, else in
    the repartition topic. What came through that topic is enriched.
    """
    places = _PlacesByUnit(broker, topics, sent)
    for partition in sent.partitions:
        done: dict[str, int] = {}
        for unit, meta in committed_transactions(broker, topics, partition):
            outcomes = _claimed(broker, topics, sent, partition, done, meta.next_offsets)
            found = places.of(unit)
            done = meta.next_offsets
            if outcomes != found:
                missing, made_up = dict(outcomes - found), dict(found - outcomes)
                raise BrokenPromiseError(
                    f"P4 conservation: partition {partition}, transaction up to {done}: "
                    f"lost {missing}, repeated or made up {made_up}"
                )


Outcomes = Counter[tuple[str, Place]]
"""How often each element was written to a topic, of the repartition topic to a partition of it."""


def _claimed(
    broker: Broker,
    topics: TaskTopics,
    sent: Sent,
    partition: int,
    done: dict[str, int],
    next_offsets: dict[str, int],
) -> Outcomes:
    outcomes: Outcomes = Counter()
    for offset in range(done.get(topics.raw, 0), next_offsets[topics.raw]):
        for element in sent.elements[partition].get(offset, ()):
            if element.name is None:
                outcomes[topics.outputs["dead_letters"], element.place] += 1
            elif element.home == partition:
                outcomes[topics.outputs["enriched"], element.place] += 1
            else:
                outcomes[f"{topics.repartition} {element.home}", element.place] += 1
    if topics.repartition:
        log = broker.log((topics.repartition, partition))
        for entry in log[done.get(topics.repartition, 0) : next_offsets[topics.repartition]]:
            if entry.committed:
                outcomes.update(
                    (topics.outputs["enriched"], place) for place in places_repartitioned(entry, sent)
                )
    return outcomes


def places_repartitioned(entry: Entry, sent: Sent) -> list[Place]:
    """The places that the events of a repartitioned record come from."""
    headers = dict(entry.headers)
    partition, offset = int(headers["origin-partition"]), int(headers["origin-offset"])
    if "origin-index" in headers:
        return [(partition, offset, int(index)) for index in headers["origin-index"].split(b",")]
    return [element.place for element in sent.elements[partition][offset]]


class _PlacesByUnit:
    """By transaction the places of the elements that it wrote; state and upserts left out."""

    def __init__(self, broker: Broker, topics: TaskTopics, sent: Sent) -> None:
        self._outcomes: dict[int, Outcomes] = {}
        by_name = {element.name: element.place for element in sent.all_elements() if element.name is not None}
        for (topic, partition), log in broker.logs.items():
            if topic not in (topics.outputs["enriched"], topics.outputs["dead_letters"], topics.repartition):
                continue
            for entry in log:
                if entry.record is None or entry.unit is None:
                    continue
                outcomes = self._outcomes.setdefault(id(entry.unit), Counter())
                where = f"{topic} {partition}" if topic == topics.repartition else topic
                for place in _places(topics, topic, entry, sent, by_name):
                    outcomes[where, place] += 1

    def of(self, unit: TransactionUnit) -> Outcomes:
        return self._outcomes.get(id(unit), Counter())


def _places(
    topics: TaskTopics, topic: str, entry: Entry, sent: Sent, by_name: dict[str, Place]
) -> list[Place]:
    if topic == topics.repartition:
        return places_repartitioned(entry, sent)
    written = entry.decoded()
    if topic == topics.outputs["enriched"]:
        return [by_name[name_of(written)]]
    return [(written["partition"], written["offset"], written.get("index"))]
