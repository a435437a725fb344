"""By which time silent sessions close, and what is logged about a wrong clock."""

import json

import pytest

from worker import log_output
from worker.model.events import PlainRecord
from worker.model.records import ListedRecords, Records
from worker.model.rules import SessionRules
from worker.task.wall_clock import WallClock

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
RULES = SessionRules()
BY_BROKERS = {"repartition"}

pytestmark = pytest.mark.usefixtures("restored_logging")


def by_broker(timestamp_ms: int) -> Records:
    """A record that a broker gave its time."""
    return ListedRecords([PlainRecord("repartition", 0, 7, timestamp_ms, None, b"[]")])


def by_producer(timestamp_ms: int) -> Records:
    """A record whose producer set its time."""
    return ListedRecords([PlainRecord("raw", 0, 7, timestamp_ms, None, b"[]")])


class Machine:
    """A machine whose wall clock may be set. Implements ``ports.Clock``."""

    def __init__(self, *, ahead_ms: int = 0) -> None:
        self.seconds = 1_000.0
        self.ahead_ms = ahead_ms

    @property
    def true_ms(self) -> int:
        return NOW_MS + round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def wall_ms(self) -> int:
        return self.true_ms + self.ahead_ms

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def wall_clock_of(machine: Machine) -> WallClock:
    """What checks the machine's clock, and logs as JSON."""
    log_output.configure("json", "info")
    return WallClock(machine, RULES)


def skews(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, float]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(line["against"], line["skew_s"]) for line in lines if line["event"] == "clock.skew"]


def test_a_clock_that_nothing_contradicts_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(ahead_ms=DAY_MS)
    assert wall_clock_of(machine).wall_ms() == machine.wall_ms()
    assert skews(capsys) == []


def test_a_clock_a_day_ahead_of_the_brokers_is_reported_once_and_closes_nothing_early(
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine = Machine(ahead_ms=DAY_MS)
    wall_clock = wall_clock_of(machine)
    wall_clock.arrived(by_broker(machine.true_ms - 300), BY_BROKERS)
    for _ in range(3):
        machine.seconds += 600.0
        assert wall_clock.wall_ms() == machine.true_ms - 300
    assert skews(capsys) == [("brokers", 86_400.3)]


def test_a_record_that_took_long_to_arrive_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A transaction of a producer shows its records when it ends."""
    machine = Machine()
    wall_clock = wall_clock_of(machine)
    wall_clock.arrived(by_broker(machine.true_ms - 500), BY_BROKERS)
    wall_clock.arrived(by_broker(machine.true_ms - 900_000), BY_BROKERS)
    assert wall_clock.wall_ms() == machine.wall_ms()
    assert skews(capsys) == []


def test_a_record_that_took_long_to_arrive_is_corrected_by_the_next_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine = Machine()
    wall_clock = wall_clock_of(machine)
    wall_clock.arrived(by_broker(machine.true_ms - 900_000), BY_BROKERS)
    assert wall_clock.wall_ms() == machine.true_ms - 900_000
    wall_clock.arrived(by_broker(machine.true_ms - 200), BY_BROKERS)
    assert wall_clock.wall_ms() == machine.wall_ms()
    assert skews(capsys) == [("brokers", 900.0), ("brokers", 0.2)]


def test_a_clock_that_is_behind_closes_late_and_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(ahead_ms=-DAY_MS)
    wall_clock = wall_clock_of(machine)
    wall_clock.arrived(by_broker(machine.true_ms), BY_BROKERS)
    assert wall_clock.wall_ms() == machine.wall_ms()
    assert skews(capsys) == [("brokers", -86_400.0)]


@pytest.mark.parametrize("jump_ms", [DAY_MS, -120_000])
def test_a_clock_that_is_set_while_it_runs_is_reported_once(
    jump_ms: int, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine()
    wall_clock = wall_clock_of(machine)
    wall_clock.wall_ms()
    machine.ahead_ms = jump_ms
    for _ in range(3):
        machine.seconds += 1.0
        wall_clock.wall_ms()
    assert skews(capsys) == [("itself", jump_ms / 1000)]


def test_a_clock_that_is_slewed_is_no_matter(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine()
    wall_clock = wall_clock_of(machine)
    for _ in range(100):
        machine.seconds += 60.0
        machine.ahead_ms += 1_000
        wall_clock.wall_ms()
    assert skews(capsys) == []


def test_producers_times_make_a_warning_and_delay_no_closing(capsys: pytest.CaptureFixture[str]) -> None:
    """They may be wrong themselves, or the records may be old."""
    machine = Machine(ahead_ms=DAY_MS)
    wall_clock = wall_clock_of(machine)
    for _ in range(10):
        wall_clock.arrived(by_producer(machine.true_ms - 100), BY_BROKERS)
        wall_clock.arrived(by_producer(-1), BY_BROKERS)
        machine.seconds += 20.0
    assert wall_clock.wall_ms() == machine.wall_ms()
    assert skews(capsys) == [("producers", 86_400.1)]


def test_one_producer_with_a_right_clock_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine()
    wall_clock = wall_clock_of(machine)
    for _ in range(10):
        wall_clock.arrived(by_producer(machine.true_ms - 100), BY_BROKERS)
        wall_clock.arrived(by_producer(machine.true_ms - 3 * DAY_MS), BY_BROKERS)
        wall_clock.arrived(by_producer(machine.true_ms + 3 * DAY_MS), BY_BROKERS)
        machine.seconds += 20.0
    assert skews(capsys) == []
