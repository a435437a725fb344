"""Of several inputs the oldest records come first, to about a second."""

from hypothesis import given
from hypothesis import strategies as st

from worker.core.repartition import PIECE_MS, oldest_piece


def test_the_input_whose_first_record_is_the_oldest_comes_first() -> None:
    assert oldest_piece([[5_000], [3_000]]) == (1, 1)


def test_an_input_that_waits_alone_gives_all_it_has() -> None:
    assert oldest_piece([[], [1_000, 90_000, 2_000]]) == (1, 3)


def test_a_piece_ends_where_the_other_input_is_more_than_a_second_older() -> None:
    assert oldest_piece([[1_000, 3_000, 3_001], [2_000]]) == (0, 2)


def test_of_several_other_inputs_the_oldest_ends_the_piece() -> None:
    assert oldest_piece([[1_000, 2_500, 2_501], [9_000], [1_500]]) == (0, 2)


def test_times_at_the_end_of_64_bits_are_as_far_apart_as_any() -> None:
    last = 2**63 - 1
    assert oldest_piece([[last - PIECE_MS - 1, last - PIECE_MS, last], [last]]) == (0, 3)
    assert oldest_piece([[-(2**63), -(2**63) + PIECE_MS + 1], [-(2**63)]]) == (0, 1)
    assert oldest_piece([[last - 1, last], [last - 1]]) == (0, 2)


def test_of_equal_ones_the_raw_topic_comes_first() -> None:
    assert oldest_piece([[1_000], [1_000]]) == (0, 1)


times = st.lists(st.integers(0, 10_000), max_size=20)


@given(times, times)
def test_nothing_that_is_given_is_more_than_a_second_newer_than_what_another_input_begins_with(
    one: list[int], other: list[int]
) -> None:
    if not one and not other:
        return
    place, count = oldest_piece([one, other])
    taken, left = ((one, other), (other, one))[place]
    assert 1 <= count <= len(taken)
    if left:
        assert max(taken[:count]) <= left[0] + PIECE_MS
