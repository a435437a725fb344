"""How much a transaction may hold where brokers or network are slow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.task.commit_policy import DraftLimits

MOST = 4_000
"""Events, where a draft's fullness is that of its events."""


def limits(slow_s: float = 5.0) -> DraftLimits:
    return DraftLimits(slow_s)


def test_at_first_a_draft_may_hold_the_most() -> None:
    assert not limits().is_full(0.999)
    assert limits().is_full(1.0)
    assert limits().part_of(MOST) == MOST


def test_after_a_timeout_it_is_half_of_what_the_draft_held() -> None:
    halved = limits()
    halved.timed_out(1.0)
    assert halved.part_of(MOST) == 2_000
    few = limits()
    few.timed_out(300 / MOST)  # there was no more to read
    assert few.part_of(MOST) == 150
    overfull = limits()
    overfull.timed_out(2.5)  # of one record with many events
    assert overfull.part_of(MOST) == 2_000


def test_one_record_may_always_go() -> None:
    least = limits()
    for _ in range(100):
        least.timed_out(1 / MOST)
    assert least.is_full(1 / MOST)
    assert not least.is_full(0.0)
    assert (least.part_of(MOST), least.part_of(1)) == (1, 1)
    assert least.part_of(256 * 1024) == 64  # bytes of a piece: less than any event has


def commit(tried: DraftLimits, times: int, fullness: float, seconds: float) -> None:
    for _ in range(times):
        tried.committed(fullness, seconds)


def test_it_grows_again_slowly_and_only_by_what_was_full_and_quick() -> None:
    grown = limits(slow_s=5.0)
    grown.timed_out(1.0)
    commit(grown, 100, 0.4, seconds=0.1)  # nothing is known of more
    commit(grown, 100, 0.6, seconds=5.1)  # more would not be done in time
    assert grown.part_of(MOST) == 2_000
    commit(grown, 7, 0.6, seconds=5.0)
    assert grown.part_of(MOST) == 2_000
    commit(grown, 1, 0.6, seconds=5.0)
    assert grown.part_of(MOST) == 2_500
    commit(grown, 2 * 8, 1.0, seconds=0.1)
    assert grown.part_of(MOST) < MOST
    commit(grown, 8, 1.0, seconds=0.1)
    assert grown.part_of(MOST) == MOST


def test_a_slow_one_or_a_timeout_between_begins_the_count_again() -> None:
    grown = limits(slow_s=5.0)
    grown.timed_out(1.0)
    for _ in range(10):
        commit(grown, 7, 0.5, seconds=0.1)
        commit(grown, 1, 0.5, seconds=5.1)
    assert grown.part_of(MOST) == 2_000
    commit(grown, 7, 0.5, seconds=0.1)
    grown.timed_out(0.5)
    commit(grown, 7, 0.5, seconds=0.1)
    assert grown.part_of(MOST) == 1_000


@pytest.mark.parametrize("most_at_once", [1, 50, 3_999])
def test_behind_a_steady_link_it_soon_finds_what_goes_and_hardly_fails_again(most_at_once: int) -> None:
    """A link that takes so many events in a transaction's time of 10 s; there is always more to read."""
    found, lost = limits(slow_s=5.0), []
    for turn in range(300):
        held = found.part_of(MOST)
        if held > most_at_once:
            found.timed_out(held / MOST)
            lost.append(turn)
        else:
            found.committed(held / MOST, seconds=10 * held / most_at_once)
    assert all(turn < 13 for turn in lost)


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 3, allow_subnormal=False), st.floats(0, 20)), max_size=60)
)
def test_whatever_happened_a_timeout_halves_and_a_record_goes(
    history: list[tuple[bool, float, float]],
) -> None:
    tried = limits()
    for in_time, fullness, seconds in history:
        before = tried.part_of(MOST)
        if in_time:
            tried.committed(fullness, seconds)
            assert before <= tried.part_of(MOST) <= min(MOST, before * 1.25 + 1)
        else:
            tried.timed_out(fullness)
            assert tried.part_of(MOST) <= max(1, before / 2 + 1)
            assert tried.part_of(MOST) <= max(1, fullness * MOST / 2)
        assert tried.is_full(1.0)
        assert 1 <= tried.part_of(MOST) <= MOST
