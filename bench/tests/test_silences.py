"""How arrivals around a disturbance become its figures."""

import pytest

from bench.silences import Arrival, is_flowing, silence


def arrivals(*pairs: tuple[float, float]) -> list[Arrival]:
    return [Arrival(at_s, age_s) for at_s, age_s in pairs]


KILLED_AT_10 = arrivals((9.8, 0.1), (9.9, 0.1), (12.9, 3.0), (13.0, 1.2), (13.1, 0.1), (13.2, 0.1))


def test_a_kill_is_a_silence_and_then_what_piled_up() -> None:
    found = silence(KILLED_AT_10, 10.0)
    assert found.longest_s == pytest.approx(3.0)
    assert found.caught_up_after_s == pytest.approx(3.0)


def test_a_silence_that_ended_before_the_disturbance_is_not_its_doing() -> None:
    earlier = arrivals((1.0, 0.1), (8.0, 0.1))
    assert silence([*earlier, *KILLED_AT_10], 10.0) == silence(KILLED_AT_10, 10.0)


def test_a_disturbance_that_nobody_noticed_has_nothing_to_catch_up_with() -> None:
    found = silence(arrivals((9.9, 0.1), (10.0, 0.1), (10.1, 0.1)), 9.95)
    assert found.longest_s == pytest.approx(0.1)
    assert found.caught_up_after_s == 0


def test_a_partition_that_never_came_back_has_no_figures() -> None:
    with pytest.raises(ValueError, match="no output after"):
        silence(arrivals((9.9, 0.1)), 10.0)


@pytest.mark.parametrize(
    ("seen", "flows"),
    [
        (arrivals((7.1, 0.1), (8.5, 0.1), (9.9, 0.1)), True),
        (arrivals((7.1, 0.1), (8.5, 2.0), (9.9, 0.1)), False),
        (arrivals((9.5, 0.1), (9.9, 0.1)), False),
        (arrivals((7.1, 0.1), (8.0, 0.1)), False),
        ([], False),
    ],
    ids=["fresh throughout", "an old one among them", "begun just now", "silent again", "nothing"],
)
def test_a_partition_flows_when_its_outputs_were_fresh_for_so_long(seen: list[Arrival], flows: bool) -> None:
    assert is_flowing(seen, 10.0, 3.0) is flows
