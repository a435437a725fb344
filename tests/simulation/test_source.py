"""The simulated source keeps the contract of the real one: each input in order, the oldest first.

The contract of the real one: test_source.py and test_two_inputs.py in tests/contract.
"""

from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import pytest

from tests.simulation.client import Client
from tests.simulation.source import FakeSource
from tests.simulation.topics import RAW_TOPIC, REPARTITION_TOPIC
from tests.simulation.world import World
from worker.model.events import InputRecord
from worker.model.state import GroupOffset
from worker.ports import Lag

RAW, REPARTITION = (RAW_TOPIC, 0), (REPARTITION_TOPIC, 0)
NOON_MS = 1_772_452_800_000

T = TypeVar("T")


@pytest.fixture
def world() -> World:
    """Nothing has been written yet."""
    return World(seed=1)


@pytest.fixture
def source(world: World) -> FakeSource:
    """The source of partition 0, of the only member."""
    return FakeSource(Client(world), 0, [RAW_TOPIC, REPARTITION_TOPIC], lambda: True)


def done(world: World, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it; requests are answered at once, and time passes while it waits."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as returned:
            result: T = returned.value
            return result
        for request in world.requests:
            request.deliver()
        world.requests.clear()
        world.pass_time(idle=True)


def take(world: World, source: FakeSource, records: int) -> list[InputRecord]:
    """Read until that many have come."""
    taken: list[InputRecord] = []
    while len(taken) < records:
        taken += done(world, source.next_records(1.0))
    return taken


def write(world: World, place: tuple[str, int], *times_ms: int) -> None:
    """Append a record for each time."""
    for time_ms in times_ms:
        world.broker.append(place, (None, b"", time_ms))


def both(offset: int, repartition_offset: int) -> Mapping[str, int]:
    """Where to seek."""
    return {RAW_TOPIC: offset, REPARTITION_TOPIC: repartition_offset}


def test_nothing_is_returned_before_the_first_seek(world: World, source: FakeSource) -> None:
    write(world, RAW, NOON_MS)
    assert not done(world, source.next_records(1.0))
    assert not source.lag().caught_up


def test_each_inputs_records_come_once_and_in_order_from_where_it_was_sought(
    world: World, source: FakeSource
) -> None:
    write(world, RAW, *range(NOON_MS, NOON_MS + 50))
    write(world, REPARTITION, *range(NOON_MS, NOON_MS + 30))
    source.seek(both(20, 10))
    taken = take(world, source, 50)
    assert [record.offset for record in taken if record.topic == RAW_TOPIC] == [*range(20, 50)]
    assert [record.offset for record in taken if record.topic == REPARTITION_TOPIC] == [*range(10, 30)]


def test_what_was_received_first_comes_first_where_both_have_some_waiting(
    world: World, source: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.simulation.source.FETCHED_IN_TIME", 1.0)
    hours = [NOON_MS + hour * 3_600_000 for hour in range(40)]
    write(world, RAW, *hours[::2])
    write(world, REPARTITION, *hours[1::2])
    source.seek(both(0, 0))
    assert [record.timestamp for record in take(world, source, 40)] == hours


def test_lag_and_caught_up_count_both(world: World, source: FakeSource) -> None:
    source.seek(both(0, 0))
    assert source.lag().caught_up
    for place in (RAW, REPARTITION):
        write(world, place, NOON_MS, NOON_MS)
        assert source.lag() == Lag(2)
        take(world, source, 2)
        assert source.lag() == Lag(0, caught_up=True)


def test_an_open_transaction_in_one_input_does_not_hold_up_the_other(
    world: World, source: FakeSource
) -> None:
    epoch = world.broker.init_producer(7)
    world.broker.produce(7, epoch, REPARTITION, [((None, b"", NOON_MS), ())])
    write(world, RAW, NOON_MS + 60_000)
    source.seek(both(0, 0))
    (record,) = take(world, source, 1)
    assert record.topic == RAW_TOPIC
    assert source.lag().caught_up
    world.broker.end(7, epoch, committed=True)
    while world.broker.owes_markers:
        world.broker.write_a_marker()
    (record,) = take(world, source, 1)
    assert record.topic == REPARTITION_TOPIC


def test_the_committed_offsets_of_both_are_returned_or_left_out(world: World, source: FakeSource) -> None:
    assert done(world, source.committed_offsets()) == {}
    world.broker.group_offsets = {RAW: 7, REPARTITION: 3, (RAW_TOPIC, 1): 9}
    assert done(world, source.committed_offsets()) == {
        RAW_TOPIC: GroupOffset(7, ""),
        REPARTITION_TOPIC: GroupOffset(3, ""),
    }


@pytest.mark.parametrize(("committed", "expected"), [(4, [4, 5, 6]), (5, [5, 6]), (7, [5, 6])])
def test_a_rebalance_may_bring_what_is_not_committed_again_and_skips_nothing(
    world: World, source: FakeSource, committed: int, expected: list[int]
) -> None:
    write(world, RAW, *range(NOON_MS, NOON_MS + 5))
    source.seek(both(0, 0))
    take(world, source, 5)
    write(world, RAW, NOON_MS + 5, NOON_MS + 6)
    world.broker.group_offsets = {RAW: committed}
    source.rebalanced()
    assert [record.offset for record in take(world, source, len(expected))] == expected
