"""A run of faults can be had again: its schedule is a function of the seed."""

from tests.chaos import collect
from tests.chaos.chart import FAULTS
from tests.chaos.collect_faults import collect_schedule
from tests.chaos.crashing_worker import POINTS
from tests.chaos.damage import DAMAGES
from tests.chaos.schedule import Lanes, schedule

LONG_S = 20_000.0


def _of(seed: int, duration_s: float) -> Lanes:
    return schedule(seed, duration_s, mortals=2, brokers=3)


def test_the_same_seed_gives_the_same_faults_and_another_seed_others() -> None:
    assert _of(7, 600.0) == _of(7, 600.0)
    assert _of(7, 600.0) != _of(8, 600.0)


def test_a_longer_schedule_begins_with_the_shorter() -> None:
    for lane, faults in _of(7, 300.0).items():
        assert list(_of(7, 600.0)[lane])[: len(faults)] == list(faults)


def test_every_kind_of_fault_comes_in_its_turn_and_has_a_row_in_the_picture() -> None:
    faults = [fault for lane in _of(1, LONG_S).values() for fault in lane]
    assert {fault.kind for fault in faults} == set(FAULTS)
    assert {fault.detail for fault in faults if fault.kind == "crash"} == set(POINTS)
    assert {fault.detail for fault in faults if fault.kind == "damage"} == set(DAMAGES)


def test_a_zombie_sleeps_longer_than_its_session_and_an_outage_lasts_twenty_seconds_at_least() -> None:
    faults = [fault for lane in _of(1, LONG_S).values() for fault in lane]
    assert min(fault.seconds for fault in faults if fault.kind == "zombie") > 6.0
    assert min(fault.seconds for fault in faults if fault.kind == "outage") >= 20.0


def test_the_schedule_of_a_collector_has_every_kind_of_its_report_and_comes_from_the_seed() -> None:
    faults = [fault for lane in collect_schedule(1, LONG_S).values() for fault in lane]
    of_two = [fault for lane in collect_schedule(1, LONG_S, processes=2).values() for fault in lane]
    assert {fault.kind for fault in of_two} == set(collect.FAULTS)
    assert {fault.target for fault in of_two if fault.kind == "process kill"} == {0, 1}
    assert {fault.kind for fault in faults} == set(collect.FAULTS) - {"process kill"}
    assert {fault.detail for fault in faults} == {"", "PRODUCE", "METADATA", "INIT_PRODUCER_ID"}
    assert collect_schedule(7, 600.0) == collect_schedule(7, 600.0) != collect_schedule(8, 600.0)
