"""What the checker of chaos takes for a possible order of outputs, and what it finds."""

from collections.abc import Sequence

from msgspec import json

from tests.builders import click, record
from tests.chaos.any_key import order_of_arrival
from tests.chaos.promises import Verdict
from tests.chaos.sent import Sent
from worker.config import load
from worker.core.partitioner import Partitioning
from worker.model.events import PlainRecord

ONE_PARTITION = Partitioning(partitions=1, partitioner="murmur2")


def found(raw: Sequence[PlainRecord], output_ids: Sequence[str]) -> list[str]:
    """What the checker complains of where the output has these events, all of one device, in this order."""
    sent, verdict = Sent(load(None, {})), Verdict()
    sent.take(0, raw)
    outputs = [
        record(offset, json.encode({"id": id_, "device_id": "d1"})) for offset, id_ in enumerate(output_ids)
    ]
    order_of_arrival(outputs, sent, 0, ONE_PARTITION, verdict)
    if sent.left:
        verdict.broken.append(f"{sent.left} lost")
    return verdict.broken


TWO = [record(0, [click("d1", id="a"), click("d1", id="b")]), record(1, [click("d1", id="c")])]


def test_the_order_of_the_raw_topic_is_a_possible_one() -> None:
    assert found(TWO, ["a", "b", "c"]) == []


def test_two_events_of_a_device_in_the_other_order_are_found() -> None:
    assert found(TWO, ["a", "c", "b"]) == ["P1 partition 0: d1 has (0, 0, 1) after (0, 1, 0)"]


def test_an_event_that_came_out_again_is_found() -> None:
    assert found(TWO, ["a", "b", "c", "a"]) == ["P4 partition 0: nobody sent a, or not so often"]


def test_an_event_that_came_out_is_the_one_that_was_sent() -> None:
    sent = Sent(load(None, {}))
    sent.take(3, [record(10, [click("d1", id="a"), {"id": "bad"}, click("d1", id="b")])])
    place = sent.seen("b")
    assert place == (3, 0, 1)
    raw, event = sent.at(place)
    assert (raw.offset, event.id) == (10, "b")


def test_an_event_that_never_came_out_is_found() -> None:
    assert found(TWO, ["a", "c"]) == ["1 lost"]
    assert found([*TWO, *TWO], ["a", "b", "c"]) == ["3 lost"]


def test_a_batch_that_its_producer_appended_twice_comes_out_twice() -> None:
    twice = [*TWO, record(2, [click("d1", id="a"), click("d1", id="b")])]
    assert found(twice, ["a", "b", "c", "a", "b"]) == []
    assert found(twice, ["a", "b", "c", "b", "a"]) == ["P1 partition 0: d1 has (0, 2, 0) after (0, 2, 1)"]
