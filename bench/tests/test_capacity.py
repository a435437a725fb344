"""The capacity model adds up, and docs/scaling.md shows what the program prints."""

import re
from pathlib import Path

import msgspec
import pytest

from bench import capacity
from bench.capacity_model import Coefficients, Demand, PerEvent, plan

SCALING = Path(__file__).parents[2] / "docs" / "scaling.md"

ALIKE = PerEvent(at_1=10.0, at_20=10.0)
ROUND = Coefficients(
    worker_us=ALIKE,
    cold_us=40.0,
    repartition_us=PerEvent(at_1=20.0, at_20=20.0),
    broker_us=PerEvent(at_1=2.0, at_20=2.0),
    transaction_worker_ms=1.0,
    transaction_broker_ms=2.0,
    commit_ms=25.0,
    raw_bytes=PerEvent(at_1=300.0, at_20=300.0),
    raw_packed_bytes=PerEvent(at_1=100.0, at_20=100.0),
    enriched_packed_bytes=PerEvent(at_1=100.0, at_20=100.0),
    sessions_packed_bytes=ALIKE,
    identities_packed_bytes=ALIKE,
    changelog_packed_bytes=PerEvent(at_1=80.0, at_20=80.0),
    store_bytes=100.0,
    changelog_device_bytes=50.0,
    restore_us=20.0,
    process_mb=150.0,
)
DEMAND = Demand(
    events_per_second=100_000, cold=0.0, busy=0.5, devices=1_000_000, partitions=8, memory_mb=250.0
)


def test_cores_are_events_times_microseconds_and_transactions_times_milliseconds() -> None:
    needed = plan(DEMAND, ROUND)
    assert needed.event_cores == pytest.approx(1.0)
    assert needed.transactions_per_second == pytest.approx(64.0)  # 8 partitions, one in 125 ms each
    assert needed.transaction_cores == pytest.approx(0.064)
    assert needed.broker_event_cores == pytest.approx(0.2)
    assert needed.broker_transaction_cores == pytest.approx(0.128)


def test_workers_leave_the_share_of_a_core_that_is_for_catching_up() -> None:
    assert plan(DEMAND, ROUND).workers == 3  # 1.064 cores, half busy
    assert plan(DEMAND, ROUND).memory_mb == pytest.approx(3 * 400)


def test_there_are_never_more_workers_than_partitions() -> None:
    assert plan(msgspec.structs.replace(DEMAND, partitions=2), ROUND).workers == 2


def test_without_a_number_of_partitions_each_worker_that_the_events_need_has_two() -> None:
    assert plan(msgspec.structs.replace(DEMAND, partitions=0), ROUND).partitions == 4


def test_what_is_appended_is_replicated_to_the_other_copies() -> None:
    needed = plan(DEMAND, ROUND)
    assert needed.appended_bytes == pytest.approx(100_000 * (100 + 100 + 10 + 10 + 80))
    assert needed.replicated_bytes == pytest.approx(2 * needed.appended_bytes)


def test_workers_fetch_the_raw_events_and_each_reader_the_enriched_ones() -> None:
    assert plan(DEMAND, ROUND).fetched_bytes == pytest.approx(100_000 * (100 + 100))
    three = msgspec.structs.replace(DEMAND, readers=3, raw_packed=False)
    assert plan(three, ROUND).fetched_bytes == pytest.approx(100_000 * (300 + 3 * 100))


def test_a_record_of_a_device_that_is_not_in_memory_pays_a_look_up() -> None:
    cold = plan(msgspec.structs.replace(DEMAND, cold=0.5), ROUND)
    assert cold.cold_cores == pytest.approx(100_000 / 20 * 0.5 * 40e-6)
    assert plan(DEMAND, ROUND).cold_cores == 0


def test_events_in_the_wrong_partition_cost_cores_and_pass_the_brokers_twice() -> None:
    half = plan(msgspec.structs.replace(DEMAND, repartitioned=0.5), ROUND)
    right = plan(DEMAND, ROUND)
    assert half.repartition_cores == pytest.approx(1.0)
    assert half.appended_bytes - right.appended_bytes == pytest.approx(100_000 * 0.5 * 100)
    assert half.fetched_bytes - right.fetched_bytes == pytest.approx(100_000 * 0.5 * 100)


def test_state_is_devices_times_bytes_and_a_worker_restores_its_share() -> None:
    needed = plan(DEMAND, ROUND)
    assert needed.state_bytes == pytest.approx(100e6)
    assert needed.changelog_bytes == pytest.approx(150e6)
    assert needed.restore_s_worker == pytest.approx(1_000_000 / 3 * 20e-6)


def test_partitions_that_get_no_record_in_time_have_no_transaction() -> None:
    trickle = Demand(events_per_second=20.0, events_per_record=2.0, partitions=64)
    assert plan(trickle, ROUND).transactions_per_second == pytest.approx(10.0)


def test_a_cost_is_exact_where_it_was_measured_and_between_them_a_line_in_events_a_record() -> None:
    cost = PerEvent(at_1=29.0, at_20=10.0)
    assert cost.at(1) == pytest.approx(29.0)
    assert cost.at(20) == pytest.approx(10.0)
    assert cost.at(2) == pytest.approx(19.0)  # 20 once a record, and 9 an event


def test_the_documented_plan_is_the_programs(capsys: pytest.CaptureFixture[str]) -> None:
    text = SCALING.read_text()
    commands = re.findall(r"python -m bench\.capacity (.+)\n", text)
    assert commands, "docs/scaling.md shows how the table was made"
    for command in commands:
        capacity.main(command.split())
        rows = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
        assert "\n".join(rows) in text, f"put the output of this into docs/scaling.md: {command}"


def test_the_documented_coefficients_are_the_programs() -> None:
    for line in capacity.coefficient_lines():
        assert line in SCALING.read_text()


@pytest.mark.parametrize("wrong", ["--cold=1.1", "--busy=0", "--devices=1.5", "--replication=0"])
def test_an_option_out_of_its_bounds_is_refused(wrong: str) -> None:
    with pytest.raises(SystemExit):
        capacity.main(["--events-per-second", "1000", wrong])
