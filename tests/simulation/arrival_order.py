"""The order in which a partition's events arrived, read from its output.

Events from several raw partitions may reach the partition of their device in many orders. The order in the
output must be a possible one: each event where its device belongs, and the events of one raw partition in its
order. Given that order everything else follows, and is compared byte for byte.
"""

from collections.abc import Iterable, Mapping

from msgspec import json

from tests.builders import Record
from tests.simulation.broken_promise import BrokenPromiseError
from tests.simulation.broker import Broker
from tests.simulation.sent_elements import Element, Place, Sent
from tests.simulation.traffic import name_of
from worker.task.layout import TaskTopics


def events_by_name(sent: Sent) -> dict[str, Element]:
    """All valid events, by name."""
    return {element.name: element for element in sent.all_elements() if element.name is not None}


def arrival_order(
    broker: Broker, topics: TaskTopics, partition: int, events: Mapping[str, Element]
) -> list[Record]:
    """P1: the partition's events, each alone in its record, in the order of its output."""
    records: list[Record] = []
    newest: dict[tuple[str, int], Place] = {}
    for name in _enriched_names(broker, topics, partition):
        element = events.get(name)
        if element is None or element.alone is None:
            raise BrokenPromiseError(f"P4 conservation: partition {partition}: {name} was never sent")
        if element.home != partition:
            raise BrokenPromiseError(
                f"P1 order: partition {partition} has {name} of {element.device_id}, who belongs to "
                f"{element.home}"
            )
        route = (element.device_id, element.place[0])
        if route in newest and newest[route] >= element.place:
            raise BrokenPromiseError(
                f"P1 order: partition {partition} has {element.place} of {element.device_id} after "
                f"{newest[route]}"
            )
        newest[route] = element.place
        records.append(element.alone)
    return records


def _enriched_names(broker: Broker, topics: TaskTopics, partition: int) -> Iterable[str]:
    for _, value, _ in broker.committed_records((topics.outputs["enriched"], partition)):
        yield name_of(json.decode(value or b""))
