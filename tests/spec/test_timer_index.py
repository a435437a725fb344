"""Timers that are due are found, the earliest first, and the store is asked only when there may be one."""

import random
from collections.abc import Sequence

import pytest

from tests.contract.dying_writer import checkpoint_of
from worker.adapters.memory_store import MemoryStore
from worker.core.state_codec import timer_key
from worker.model.state import StateRecord
from worker.task.timers import TimerIndex


class AskedStore(MemoryStore):
    """A store that keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bytes, bytes, int]] = []

    def keys(self, first: bytes, end: bytes, limit: int) -> list[bytes]:
        self.asked.append((first, end, limit))
        return super().keys(first, end, limit)


class Timers:
    """A store and its index, written as a task does: the store first, then the index."""

    def __init__(self) -> None:
        self.store = AskedStore()
        self.index = TimerIndex(self.store)

    def write(self, *records: StateRecord) -> None:
        self.store.write(records, checkpoint_of(1))
        self.index.written(records)


@pytest.fixture
def timers() -> Timers:
    return Timers()


def closes(at_ms: int, device: str = "d") -> bytes:
    return timer_key("close", at_ms, device.encode())


def armed(at_ms: int, device: str = "d") -> StateRecord:
    return closes(at_ms, device), b""


def fired(at_ms: int, device: str = "d") -> StateRecord:
    return closes(at_ms, device), None


# --- what is due ---


def test_without_timers_nothing_is_due(timers: Timers) -> None:
    assert not timers.index.is_due("close", 2**53)
    assert timers.index.due("close", 2**53, 10) == []


def test_a_timer_is_due_after_its_time_and_not_at_it(timers: Timers) -> None:
    timers.write(armed(1_000))
    assert not timers.index.is_due("close", 1_000)
    assert timers.index.due("close", 1_000, 10) == []
    assert timers.index.is_due("close", 1_001)
    assert timers.index.due("close", 1_001, 10) == [closes(1_000)]


def test_those_due_come_earliest_first_and_at_most_as_many_as_asked_for(timers: Timers) -> None:
    timers.write(armed(3_000, "c"), armed(1_000, "b"), armed(1_000, "a"), armed(2_000, "d"))
    assert timers.index.due("close", 3_000, 10) == [
        closes(1_000, "a"),
        closes(1_000, "b"),
        closes(2_000, "d"),
    ]
    assert timers.index.due("close", 3_001, 2) == [closes(1_000, "a"), closes(1_000, "b")]
    assert timers.index.due("close", 3_001, 0) == []


def test_the_two_kinds_do_not_see_each_other(timers: Timers) -> None:
    timers.write(armed(1_000), (timer_key("expire", 5_000, b"d"), b""))
    assert timers.index.due("close", 9_000, 10) == [closes(1_000)]
    assert timers.index.due("expire", 9_000, 10) == [timer_key("expire", 5_000, b"d")]
    assert not timers.index.is_due("expire", 5_000)


def test_time_before_the_epoch_finds_nothing(timers: Timers) -> None:
    timers.write(armed(0))
    assert not timers.index.is_due("close", -1)
    assert timers.index.is_due("close", 1)


# --- what changes ---


def test_a_timer_that_fired_makes_way_for_the_next(timers: Timers) -> None:
    timers.write(armed(1_000), armed(2_000))
    assert timers.index.due("close", 5_000, 1) == [closes(1_000)]
    timers.write(fired(1_000))
    assert not timers.index.is_due("close", 2_000)
    assert timers.index.due("close", 5_000, 1) == [closes(2_000)]
    timers.write(fired(2_000))
    assert not timers.index.is_due("close", 2**53)


def test_an_earlier_timer_that_is_armed_later_is_found(timers: Timers) -> None:
    timers.write(armed(5_000))
    assert not timers.index.is_due("close", 3_000)
    timers.write(armed(2_000, "late"))
    assert timers.index.due("close", 3_000, 10) == [closes(2_000, "late")]


def test_a_timer_that_is_armed_where_there_was_none_is_found(timers: Timers) -> None:
    assert not timers.index.is_due("close", 2**53)
    timers.write(armed(2_000))
    assert timers.index.is_due("close", 2_001)


def test_a_store_that_was_filled_otherwise_is_seen_after_clear(timers: Timers) -> None:
    assert not timers.index.is_due("close", 2**53)
    timers.store.write([armed(1_000)], checkpoint_of(2))
    timers.index.clear()
    assert not timers.index.is_due("close", 1_000)
    assert timers.index.is_due("close", 1_001)


# --- what it costs ---


def test_the_store_is_not_asked_again_until_the_first_timer_is_reached_or_gone(timers: Timers) -> None:
    timers.write(armed(5_000), armed(6_000))
    for now_ms in range(1_000, 5_000, 100):
        assert not timers.index.is_due("close", now_ms)
        timers.write(armed(9_000 + now_ms))
    assert len(timers.store.asked) == 1


def test_a_timer_that_is_due_is_looked_for_once(timers: Timers) -> None:
    timers.write(armed(1_000))
    assert all(timers.index.is_due("close", now_ms) for now_ms in range(2_000, 2_010))
    assert len(timers.store.asked) == 1


def test_the_store_is_asked_from_the_first_timer_on_and_not_over_those_that_have_fired(
    timers: Timers,
) -> None:
    timers.write(*(armed(at_ms) for at_ms in range(1_000, 1_010)))
    for at_ms in range(1_000, 1_010):
        assert timers.index.due("close", 9_000, 1) == [closes(at_ms)]
        timers.write(fired(at_ms))
    firsts = [first for first, _, _ in timers.store.asked]
    assert firsts == sorted(firsts)
    assert firsts[-1] >= closes(1_008)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_armed_and_fires_the_due_ones_are_those_that_a_list_holds(seed: int) -> None:
    chance = random.Random(seed)
    timers = Timers()
    listed: set[bytes] = set()
    for _ in range(200):
        records = some_records(chance, sorted(listed))
        timers.write(*records)
        for key, value in records:
            (listed.discard if value is None else listed.add)(key)
        now_ms = chance.randrange(60)
        due = sorted(key for key in listed if key < closes(now_ms, ""))
        assert timers.index.is_due("close", now_ms) == bool(due)
        assert timers.index.due("close", now_ms, 3) == due[:3]


def some_records(chance: random.Random, there: Sequence[bytes]) -> list[StateRecord]:
    """Some timers armed, some of those there fired, at times close together."""
    records = [armed(chance.randrange(60), f"d{chance.randrange(3)}") for _ in range(chance.randrange(3))]
    if there:
        records += [(key, None) for key in chance.sample(there, chance.randrange(min(3, len(there) + 1)))]
    return records
