"""Several processes under one command: their restarts, what each has for itself, one log, one health."""

import os
import signal
from pathlib import Path

import pytest

from tests.commands import Sessionizer
from worker.config import Config, ConfigError, load
from worker.health import HealthFile
from worker.processes.lines import MAX_LINE_BYTES, Lines
from worker.processes.restarts import HEALTHY_S, MAX_FAILURES, Next, after_end, ended_as_asked, exit_code_for
from worker.processes.slots import cores, slots

BRIEF_S = 3.0


def own(config: Config, count: int) -> list[dict[str, str]]:
    """What differs from slot to slot."""
    several = slots(config, count, ("run",), "json")
    return [
        {name: value for name, value in slot.environment.items() if os.environ.get(name) != value}
        for slot in several
    ]


# --- Restarts ---------------------------------------------------------------------------------------------


def test_a_process_that_fails_again_and_again_waits_longer_and_then_is_given_up() -> None:
    failures, waits = 0, []
    for _ in range(MAX_FAILURES):
        failures, restart_in_s = after_end(1, BRIEF_S, failures)
        waits.append(restart_in_s)
    assert waits == [1.0, 2.0, 4.0, 8.0, None]


def test_a_process_that_ran_for_a_minute_begins_again() -> None:
    assert after_end(-signal.SIGKILL, HEALTHY_S, 4) == Next(failures=1, restart_in_s=1.0)
    assert after_end(-signal.SIGKILL, HEALTHY_S - 0.1, 4) == Next(failures=5, restart_in_s=None)


@pytest.mark.parametrize("exit_code", [0, 1, -signal.SIGKILL, -signal.SIGTERM, 120])
def test_whatever_ends_unasked_is_started_again(exit_code: int) -> None:
    assert after_end(exit_code, BRIEF_S, 0).restart_in_s == 1.0


def test_a_wrong_configuration_is_not_tried_twice() -> None:
    assert after_end(2, BRIEF_S, 0).restart_in_s is None
    assert after_end(2, 1_000.0, 0).restart_in_s is None


def test_the_exit_code_of_the_whole_separates_wrong_usage_from_failure() -> None:
    assert [exit_code_for(code) for code in (0, 1, 2, -signal.SIGKILL)] == [1, 1, 2, 1]


def test_who_is_asked_to_end_ends_well_also_before_it_listens_but_not_otherwise() -> None:
    codes = (0, -signal.SIGTERM, -signal.SIGINT, 1, 2, -signal.SIGKILL)
    assert [ended_as_asked(code) for code in codes] == [
        *(True, True, True),
        *(False, False, False),
    ]


# --- Slots ------------------------------------------------------------------------------------------------


def test_the_memory_is_that_of_all_processes_together() -> None:
    shares = [int(slot["SESSIONIZER_STATE_MEMORY_MB"]) for slot in own(load(None, {}), 3)]
    assert shares == [85, 85, 85]


def test_too_little_memory_for_so_many_is_a_wrong_configuration() -> None:
    config = load(None, {"SESSIONIZER_STATE_MEMORY_MB": "64"})
    assert len(slots(config, 4, ("run",), "json")) == 4
    with pytest.raises(ConfigError, match=r"state\.memory_mb = 64: must be at least 80, for 5 processes"):
        slots(config, 5, ("run",), "json")


def test_the_first_process_has_the_directory_of_a_single_one_and_the_others_one_inside() -> None:
    first, *others = own(load(None, {"SESSIONIZER_STATE_DIRECTORY": "/data"}), 3)
    assert "SESSIONIZER_STATE_DIRECTORY" not in first
    assert [slot["SESSIONIZER_STATE_DIRECTORY"] for slot in others] == ["/data/slot-1", "/data/slot-2"]


def test_a_literal_member_id_becomes_one_a_process() -> None:
    several = own(load(None, {"SESSIONIZER_KAFKA_GROUP_INSTANCE_ID": "pod-7"}), 2)
    assert [slot["SESSIONIZER_KAFKA_GROUP_INSTANCE_ID"] for slot in several] == ["pod-7-0", "pod-7-1"]


@pytest.mark.parametrize("instance_id", ["auto", ""])
def test_a_member_id_that_is_made_or_missing_stays_so(instance_id: str) -> None:
    several = own(load(None, {"SESSIONIZER_KAFKA_GROUP_INSTANCE_ID": instance_id}), 2)
    assert not any("SESSIONIZER_KAFKA_GROUP_INSTANCE_ID" in slot for slot in several)


def test_what_each_process_is_given_is_a_configuration_again() -> None:
    config = load(None, {"SESSIONIZER_HEALTH_FILE": "/run/health", "SESSIONIZER_STATE_DIRECTORY": "/data"})
    given = load(None, own(config, 2)[1])
    assert (given.health.file, given.state.directory) == ("/run/health.1", "/data/slot-1")
    assert (given.state.memory_mb, given.log.format) == (128, "json")


def test_each_process_gets_its_slot_behind_the_command() -> None:
    assert [slot.command for slot in slots(load(None, {}), 2, ("python", "run"), "json")] == [
        ("python", "run", "--slot", "0"),
        ("python", "run", "--slot", "1"),
    ]


def test_auto_is_the_cores_this_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


# --- The command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", ["0", "-1", "two", "1.5", "²", ""])
def test_a_wrong_number_of_processes_is_wrong_usage(sessionizer: Sessionizer, count: str) -> None:
    ended = sessionizer("run", "--processes", count)
    assert ended.code == 2
    assert "from 1 on, or auto" in ended.err


def test_too_many_processes_for_the_memory_end_with_2_and_one_line(sessionizer: Sessionizer) -> None:
    ended = sessionizer("run", "--processes", "17")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "state.memory_mb = 256: must be at least 272, for 17 processes share it\n"


# --- One log ----------------------------------------------------------------------------------------------


def test_only_whole_lines_are_handed_on() -> None:
    lines = Lines()
    assert [lines.whole(chunk) for chunk in (b"on", b"e\ntwo\nth", b"ree", b"\n")] == [
        *(b"", b"one\ntwo\n"),
        *(b"", b"three\n"),
    ]


def test_what_a_process_did_not_finish_is_a_line_too() -> None:
    lines = Lines()
    assert lines.whole(b"one\ntw") == b"one\n"
    assert lines.last() == b"tw\n"
    assert lines.last() == b""


def test_a_line_without_end_does_not_take_all_memory() -> None:
    lines = Lines()
    assert lines.whole(b"x" * MAX_LINE_BYTES) == b"x" * MAX_LINE_BYTES + b"\n"
    assert lines.whole(b"y\n") == b"y\n"


# --- One health file --------------------------------------------------------------------------------------


def aged(path: Path, age_s: float) -> HealthFile:
    """A file that was touched so long ago."""
    path.touch()
    os.utime(path, (path.stat().st_mtime - age_s,) * 2)
    return HealthFile(path)


def test_the_whole_is_as_well_as_the_process_that_is_worst(tmp_path: Path) -> None:
    whole = HealthFile(tmp_path / "health")
    whole.follow([aged(tmp_path / "health.0", 2), aged(tmp_path / "health.1", 45)])
    now_s = (tmp_path / "health.0").stat().st_mtime + 2
    assert whole.verdict(now_s).reason.startswith(f"{tmp_path / 'health'} is 45 s old")
    whole.follow([aged(tmp_path / "health.0", 2), aged(tmp_path / "health.1", 9)])
    assert whole.verdict(now_s).healthy


def test_the_whole_is_not_well_before_every_process_is_there(tmp_path: Path) -> None:
    whole, first, second = (HealthFile(tmp_path / name) for name in ("health", "health.0", "health.1"))
    first.touch()
    whole.follow([first, second])
    assert not (tmp_path / "health").exists()


def test_the_whole_grows_old_while_a_process_is_away(tmp_path: Path) -> None:
    whole = aged(tmp_path / "health", 20)
    touched = (tmp_path / "health").stat().st_mtime_ns
    whole.follow([aged(tmp_path / "health.0", 0), HealthFile(tmp_path / "health.1")])
    assert (tmp_path / "health").stat().st_mtime_ns == touched
