"""The keys of the timer index: in order of time, and changed by no more than what moved."""

import pytest

from worker.core.partitioner import Partitioning
from worker.core.state_codec import (
    TimerKind,
    device_of_timer,
    due_range,
    kind_of_timer,
    moved_timers,
    restored_timers,
    timer_key,
    whole_range,
)
from worker.engine.protocol import EngineOptions
from worker.engine.readable import ReadableEngine
from worker.errors import StateCorrupted
from worker.model.rules import Rules
from worker.model.state import DeviceState, Meta

KINDS: list[TimerKind] = ["close", "expire"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_ms", [0, 255, 256, 1_772_409_600_000, 2**63])
@pytest.mark.parametrize("device", ["d", "", "tc", "\u00e9\u00e8"])
def test_a_key_says_its_kind_time_and_device(kind: TimerKind, at_ms: int, device: str) -> None:
    key = timer_key(kind, at_ms, device.encode())

    assert (kind_of_timer(key), device_of_timer(key)) == (kind, device)
    assert int.from_bytes(key[2:10], "big") == at_ms


@pytest.mark.parametrize(
    "key", [b"", b"m", b"tc", b"tx" + bytes(8) + b"d1", b"tc" + bytes(7), b"tf" + bytes(8) + b"\xff"]
)
def test_a_key_of_no_timer_shows_that_the_store_is_unusable(key: bytes) -> None:
    with pytest.raises(ValueError):
        device_of_timer(key)
    partitioning = Partitioning(partitions=1)
    engine = ReadableEngine(
        EngineOptions(partition=0, rules=Rules(), partitioning=partitioning, output_partitions={})
    )
    engine.begin(Meta(schema=2, incarnation="", raw_topic="raw", next_offsets={}))
    with pytest.raises(StateCorrupted, match="a timer's key does not decode"):
        engine.due([timer_key("close", 1, b"d1"), key])


def test_the_bytes_of_a_key_stay_for_stores_outlive_releases() -> None:
    assert timer_key("close", 258, b"d") == b"tc\0\0\0\0\0\0\1\2d"
    assert timer_key("expire", 258, b"d") == b"tf\0\0\0\0\0\0\1\2d"


def test_keys_sort_by_kind_then_time_then_device() -> None:
    keys = [
        timer_key(kind, at_ms, device) for kind in KINDS for at_ms in (1, 255, 256) for device in (b"a", b"b")
    ]
    assert keys == sorted(keys)


def test_a_timer_is_due_after_its_time_and_not_at_it() -> None:
    first, end = due_range("close", 1000)

    assert first <= timer_key("close", 0, b"d")
    assert timer_key("close", 999, b"\xff" * 9) < end
    assert timer_key("close", 1000, b"") >= end
    assert not first <= timer_key("expire", 0, b"d") < end


@pytest.mark.parametrize("now_ms", [-1, 0])
def test_before_all_time_nothing_is_due(now_ms: int) -> None:
    _, end = due_range("close", now_ms)
    assert timer_key("close", 0, b"") >= end
    assert timer_key("close", 1, b"") >= end


def test_at_the_first_millisecond_what_is_for_the_instant_before_is_due() -> None:
    first, end = due_range("close", 1)
    assert first <= timer_key("close", 0, b"d") < end


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_range_has_every_timer_of_its_kind_and_no_other(kind: TimerKind) -> None:
    first, end = whole_range(kind)
    [other] = [each for each in KINDS if each != kind]
    for at_ms, device in ((0, b""), (2**63, b"\xf4\x8f"), (2**64 - 1, b"d"), (2**64 - 1, b"\xf4")):
        assert first <= timer_key(kind, at_ms, device) < end
        assert not first <= timer_key(other, at_ms, device) < end


def test_restored_timers_are_those_that_are_set() -> None:
    assert restored_timers(b"d", 5, 9) == [
        (timer_key("close", 5, b"d"), b""),
        (timer_key("expire", 9, b"d"), b""),
    ]
    assert restored_timers(b"d", 0, 9) == [(timer_key("expire", 9, b"d"), b"")]
    assert restored_timers(b"d", 0, 0) == []


def moved(
    before: tuple[int, int], after: tuple[int, int] | None, *, fired: bool = False
) -> list[tuple[bytes, bytes | None]]:
    state = None if after is None else DeviceState(0, close_at_ms=after[0], expire_at_ms=after[1])
    return list(moved_timers("d", state, before, fired=fired))


CLOSE_5, CLOSE_6 = timer_key("close", 5, b"d"), timer_key("close", 6, b"d")
EXPIRE_9 = timer_key("expire", 9, b"d")


def test_a_timer_that_did_not_move_is_not_written() -> None:
    assert moved((5, 9), (5, 9)) == []
    assert moved((0, 0), (0, 0)) == []


def test_a_timer_that_moved_leaves_its_place() -> None:
    assert moved((5, 9), (6, 9)) == [(CLOSE_5, None), (CLOSE_6, b"")]


def test_a_first_timer_is_set_and_one_that_is_over_deleted() -> None:
    assert moved((0, 0), (5, 9)) == [(CLOSE_5, b""), (EXPIRE_9, b"")]
    assert moved((5, 9), (0, 9)) == [(CLOSE_5, None)]


def test_a_device_that_is_gone_has_no_timers() -> None:
    assert moved((5, 9), None) == [(CLOSE_5, None), (EXPIRE_9, None)]


def test_after_one_has_fired_both_are_set_again_where_they_are() -> None:
    assert moved((5, 9), (5, 9), fired=True) == [(CLOSE_5, b""), (EXPIRE_9, b"")]
    assert moved((5, 9), (0, 9), fired=True) == [(CLOSE_5, None), (EXPIRE_9, b"")]
