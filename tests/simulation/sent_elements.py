"""The elements that were sent, read without the core: every outcome is counted against them.

Knows the raw records of a run and to which partition a device belongs; nothing of their outcomes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct, json

from tests.builders import Record
from tests.simulation.broker import Broker, TopicPartition
from tests.simulation.topics import RAW_TOPIC, REPARTITION_TOPIC
from tests.simulation.traffic import Incoming, name_of
from worker.core.partitioner import Partitioning

Place = tuple[int, int, int | None]
"""Partition and offset in the raw topic, and index in the batch; None where a whole value was refused."""


class Element(Struct, frozen=True):
    """One event as it was sent, or what was sent instead of one.

    ``name`` distinguishes it from all others, and is None where it must be refused. ``home`` is the partition
    that its device belongs to; ``alone`` a raw record that holds nothing else.
    """

    place: Place
    name: str | None
    device_id: str = ""
    home: int = -1
    alone: Record | None = None


class Sent:
    """A run's raw records: ``records`` by partition, ``elements`` by partition and offset."""

    def __init__(self, incoming: Sequence[Incoming], partitioning: Partitioning) -> None:
        self.partitions = range(partitioning.partitions)
        self.records: dict[int, list[Record]] = {partition: [] for partition in self.partitions}
        self.elements: dict[int, dict[int, list[Element]]] = {partition: {} for partition in self.partitions}
        self.newest_ms = 0
        self._ends = Counter(partition for partition, _ in incoming)
        home_of = lru_cache(partitioning.partition_of)
        for partition, record in incoming:
            if record is None:
                continue
            self.records[partition].append(record)
            elements = self.elements[partition][record.offset] = []
            for index, event in enumerate(_batch(record)):
                place = (partition, record.offset, index)
                if not isinstance(event, dict) or event.get("timestamp", 1) <= 1:
                    elements.append(Element(place, None))
                    continue
                device_id = event["device_id"]
                alone = Record(
                    record.topic, partition, record.offset, record.timestamp, None, json.encode([event])
                )
                elements.append(Element(place, name_of(event), device_id, home_of(device_id), alone))
                self.newest_ms = max(self.newest_ms, event["timestamp"])
            if not elements:
                elements.append(Element((partition, record.offset, None), None))

    def all_elements(self) -> Iterable[Element]:
        """All elements of all partitions."""
        return (
            element
            for by_offset in self.elements.values()
            for elements in by_offset.values()
            for element in elements
        )

    def next_offsets(self, broker: Broker) -> dict[int, dict[str, int]]:
        """By partition the next offsets when each input has been read to its end, markers included."""
        ends: dict[int, dict[str, int]] = {}
        for partition in self.partitions:
            ends[partition] = {RAW_TOPIC: self._ends[partition]}
            if len(self.partitions) > 1:
                ends[partition][REPARTITION_TOPIC] = broker.stable_end((REPARTITION_TOPIC, partition))
        return ends

    def consumed(self, broker: Broker) -> Mapping[TopicPartition, int]:
        """The group's offsets when all inputs have been read to their ends."""
        return {
            (topic, partition): offset
            for partition, offsets in self.next_offsets(broker).items()
            for topic, offset in offsets.items()
        }


def _batch(record: Record) -> Sequence[Any]:
    """The elements of a value; empty where it is no batch."""
    try:
        batch = json.decode(record.value or b"")
    except ValueError:
        return ()
    return batch if isinstance(batch, list) else ()
