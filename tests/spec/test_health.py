"""When a worker is well: no partition stands still, and its file is young. No clock runs in these tests."""

import os
from pathlib import Path

import pytest

from tests.commands import Sessionizer
from worker.health import BEAT_S, STALE_S, HealthFile, verdict
from worker.task.status import Progress, Standstill

PATIENCE_S = 60.0


def busy(changelog_offset: int) -> Progress:
    return Progress(idle=False, changelog_offset=changelog_offset)


def idle(changelog_offset: int) -> Progress:
    return Progress(idle=True, changelog_offset=changelog_offset)


def stuck_after(*seen: tuple[float, dict[int, Progress]]) -> list[dict[int, float]]:
    """What stands still at each of these seconds, tasks having come so far."""
    standstill = Standstill(PATIENCE_S)
    return [standstill.partitions(progress, now_s) for now_s, progress in seen]


def test_a_partition_with_work_that_commits_nothing_for_longer_than_the_patience_stands_still() -> None:
    assert stuck_after((0, {3: busy(7)}), (60.0, {3: busy(7)}), (60.1, {3: busy(7)})) == [{}, {}, {3: 60.1}]


def test_a_partition_that_has_nothing_to_do_never_stands_still() -> None:
    assert stuck_after((0, {3: idle(7)}), (1_000, {3: idle(7)}), (1_060, {3: busy(7)})) == [{}, {}, {}]


def test_every_commit_and_every_restored_piece_is_progress() -> None:
    assert stuck_after((0, {3: busy(-1)}), (59, {3: busy(0)}), (118, {3: busy(9)})) == [{}, {}, {}]


def test_an_earlier_offset_is_progress_too() -> None:
    """A store that was wiped begins again."""
    assert stuck_after((0, {3: busy(900)}), (50, {3: busy(-1)}), (100, {3: busy(-1)})) == [{}, {}, {}]


def test_one_partition_that_stands_still_is_not_hidden_by_others() -> None:
    others = [(second, {1: busy(second), 2: idle(5), 3: busy(7)}) for second in (0, 40, 80)]
    assert stuck_after(*others)[-1] == {3: 80}


def test_a_partition_that_was_away_is_measured_from_its_return() -> None:
    assert stuck_after((0, {3: busy(7)}), (50, {}), (100, {3: busy(7)}), (150, {3: busy(7)}))[-1] == {}


def test_a_partition_that_moves_again_does_not_stand_still() -> None:
    assert stuck_after((0, {3: busy(7)}), (70, {3: busy(7)}), (75, {3: busy(8)})) == [{}, {3: 70}, {}]


@pytest.mark.parametrize(
    ("age_s", "healthy"),
    [(0.0, True), (STALE_S, True), (STALE_S + 0.1, False), (-1.0, True), (-3600.0, False)],
)
def test_the_file_s_age_shows_whether_the_worker_is_healthy(age_s: float, healthy: bool) -> None:
    assert verdict("health", age_s).healthy is healthy


def test_several_beats_may_be_late_before_the_file_is_old() -> None:
    assert STALE_S >= 3 * BEAT_S


def test_the_command_says_in_one_line_whether_the_worker_is_healthy(
    sessionizer: Sessionizer, tmp_path: Path
) -> None:
    path = tmp_path / "health"
    missing = sessionizer("health", HEALTH_FILE=str(path))
    assert (missing.code, missing.out) == (
        1,
        f"{path} is missing: no worker runs, or it is still starting\n",
    )
    HealthFile(path).touch()
    fine = sessionizer("health")
    assert (fine.code, fine.out) == (0, f"healthy: {path} was touched 0 s ago\n")
    os.utime(path, (path.stat().st_mtime - 45,) * 2)
    old = sessionizer("health")
    assert old.code == 1
    assert old.out == f"{path} is 45 s old; a healthy worker touches it every 5 s\n"
    HealthFile(path).remove()
    assert sessionizer("health").code == 1


def test_the_command_without_a_file_in_the_configuration_is_a_wrong_configuration(
    sessionizer: Sessionizer,
) -> None:
    ended = sessionizer("health", HEALTH_FILE="")
    assert ended.code == 2
    assert ended.err.startswith("health.file is empty")


def test_without_options_the_file_lies_in_the_state_directory_under_the_group_s_name(
    sessionizer: Sessionizer, tmp_path: Path
) -> None:
    options = {"STATE_DIRECTORY": str(tmp_path), "KAFKA_GROUP_ID": "clicks"}
    ended = sessionizer("health", **options)
    assert ended.code == 1
    assert ended.out.startswith(f"{tmp_path / 'clicks.health'} is missing")
