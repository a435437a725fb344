"""The simulated broker keeps the rules of a real one, or the simulation would prove nothing.

The rules of the real one: test_repartition_transaction.py and test_transaction.py in tests/contract.
"""

from random import Random

import pytest

from tests.simulation.broker import Broker, FencedError, TopicPartition
from worker.model.outputs import OutputRecord

HERE, THERE = ("repartition", 0), ("repartition", 1)
RAW = ("raw", 0)


@pytest.fixture
def broker() -> Broker:
    """An empty broker, whose answers are never stale."""
    return Broker(Random(1), lambda: 1e9)


def produce(broker: Broker, producer: int, epoch: int, place: TopicPartition, value: bytes) -> None:
    record: OutputRecord = (b"key", value, None)
    broker.produce(producer, epoch, place, [(record, [("origin-offset", b"7")])])


def values(broker: Broker, place: TopicPartition) -> list[bytes | None]:
    return [value for _, value, _ in broker.committed_records(place)]


def write_all_markers(broker: Broker) -> None:
    while broker.owes_markers:
        broker.write_a_marker()


def test_what_spans_partitions_appears_in_each_with_its_own_marker(broker: Broker) -> None:
    epoch = broker.init_producer(0)
    produce(broker, 0, epoch, HERE, b"a")
    produce(broker, 0, epoch, THERE, b"b")
    broker.add_offsets(0, epoch, {RAW: 3})
    broker.end(0, epoch, committed=True)
    assert (values(broker, HERE), values(broker, THERE), broker.group_offsets) == ([], [], {})
    seen: list[int] = []
    while broker.owes_markers:
        broker.write_a_marker()
        seen.append(len(values(broker, HERE)) + len(values(broker, THERE)) + len(broker.group_offsets))
    assert seen == [1, 2, 3]


def test_records_bring_their_headers(broker: Broker) -> None:
    epoch = broker.init_producer(0)
    produce(broker, 0, epoch, HERE, b"a")
    broker.end(0, epoch, committed=True)
    write_all_markers(broker)
    ((_, entry),) = broker.read_committed(HERE)
    assert entry.headers == [("origin-offset", b"7")]


def test_a_partition_waits_for_the_open_transaction_of_one_producer_and_then_shows_all_of_others(
    broker: Broker,
) -> None:
    slow, quick = broker.init_producer(0), broker.init_producer(1)
    produce(broker, 0, slow, HERE, b"slow")
    produce(broker, 1, quick, HERE, b"quick")
    broker.end(1, quick, committed=True)
    write_all_markers(broker)
    assert broker.stable_end(HERE) == 0
    assert values(broker, HERE) == []
    broker.end(0, slow, committed=True)
    write_all_markers(broker)
    assert values(broker, HERE) == [b"slow", b"quick"]


def test_fencing_aborts_what_was_open_everywhere_and_answers_when_that_is_done(broker: Broker) -> None:
    epoch = broker.init_producer(0)
    produce(broker, 0, epoch, HERE, b"dropped")
    produce(broker, 0, epoch, THERE, b"dropped")
    new_owner = broker.init_producer(0)
    assert not broker.owes_markers
    with pytest.raises(FencedError):
        broker.end(0, epoch, committed=True)
    produce(broker, 0, new_owner, THERE, b"kept")
    broker.end(0, new_owner, committed=True)
    write_all_markers(broker)
    assert (values(broker, HERE), values(broker, THERE)) == ([], [b"kept"])


def test_one_producer_s_fencing_leaves_others_alone(broker: Broker) -> None:
    one, other = broker.init_producer(0), broker.init_producer(1)
    produce(broker, 1, other, HERE, b"other")
    broker.init_producer(0)
    broker.end(1, other, committed=True)
    write_all_markers(broker)
    assert values(broker, HERE) == [b"other"]
    with pytest.raises(FencedError):
        produce(broker, 0, one, HERE, b"one")


def test_a_transaction_that_timed_out_is_aborted_and_its_producer_fenced(broker: Broker) -> None:
    epoch = broker.init_producer(0)
    produce(broker, 0, epoch, HERE, b"late")
    broker.time_out(0)
    assert broker.stable_end(HERE) == len(broker.log(HERE))
    with pytest.raises(FencedError):
        broker.end(0, epoch, committed=True)
    assert values(broker, HERE) == []


def test_the_commit_of_a_second_copy_ends_a_later_transaction_of_the_same_epoch(broker: Broker) -> None:
    """KIP-890: why a producer whose answer was lost begins no other transaction."""
    epoch = broker.init_producer(0)
    produce(broker, 0, epoch, HERE, b"one")
    broker.end(0, epoch, committed=True)
    produce(broker, 0, epoch, HERE, b"two")
    broker.end(0, epoch, committed=True)
    write_all_markers(broker)
    assert values(broker, HERE) == [b"one", b"two"]


def test_markers_take_offsets_too(broker: Broker) -> None:
    epoch = broker.init_producer(0)
    for value in (b"one", b"two"):
        produce(broker, 0, epoch, HERE, value)
        broker.end(0, epoch, committed=True)
        write_all_markers(broker)
    assert [offset for offset, _ in broker.read_committed(HERE)] == [0, 2]
