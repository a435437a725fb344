"""What must be right on this machine, before any broker is asked: no broker is there in these tests."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from worker.config import load
from worker.errors import Fatal
from worker.health import HealthFile
from worker.preflight import check_machine

ONE, SEVERAL = (), ("--processes", "2")


def reason(directory: Path, arguments: tuple[str, ...], **variables: str) -> str:
    """Why the only line of ``run`` says that it failed."""
    ended = subprocess.run(
        [sys.executable, "-m", "worker", "run", *arguments],
        env={
            **os.environ,
            "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "SESSIONIZER_LOG_FORMAT": "json",
            "SESSIONIZER_STATE_DIRECTORY": str(directory / "state"),
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended
    *warnings, line = map(json.loads, ended.stdout.splitlines())
    assert [warning["event"] for warning in warnings] == ["config.warning"] * (
        "SESSIONIZER_SESSION_GAP_MS" in variables
    )
    assert line["event"] == "worker.failed"
    return str(line["reason"])


@pytest.mark.parametrize("arguments", [ONE, SEVERAL], ids=["one process", "several"])
def test_what_is_wrong_on_this_machine_is_said_before_brokers_are_asked(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    health = tmp_path / "not there" / "health"
    assert reason(tmp_path, arguments, SESSIONIZER_HEALTH_FILE=str(health)) == (
        f"health.file: {health} cannot be written: No such file or directory"
    )
    (tmp_path / "a file").touch()
    state = tmp_path / "a file" / "state"
    assert reason(tmp_path, arguments, SESSIONIZER_STATE_DIRECTORY=str(state)) == (
        f"state.directory: {state / 'sessionizer'} cannot be used: Not a directory"
    )
    assert reason(tmp_path, arguments, PYTHONOPTIMIZE="1").startswith("do not run under python -O")


@pytest.mark.parametrize("arguments", [ONE, SEVERAL], ids=["one process", "several"])
def test_options_that_look_like_a_mistake_are_warned_of_once(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "state").touch()
    assert "state.directory" in reason(tmp_path, arguments, SESSIONIZER_SESSION_GAP_MS="1800")


@pytest.mark.parametrize("what", ["directory", "device", "pipe"])
def test_a_health_file_that_is_no_file_is_refused_and_left_alone(what: str, tmp_path: Path) -> None:
    path = tmp_path / "health"
    if what == "directory":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    config = load(
        None, {"SESSIONIZER_HEALTH_FILE": str(path), "SESSIONIZER_STATE_DIRECTORY": str(tmp_path / "state")}
    )
    with pytest.raises(Fatal, match=r"^health\.file: .* cannot be written: "):
        check_machine(config)
    assert path.exists()
    assert Path("/dev/null").is_char_device()


def test_a_file_that_a_killed_worker_left_young_says_at_the_next_start_that_none_runs(tmp_path: Path) -> None:
    path = tmp_path / "health"
    HealthFile(path).touch()
    config = load(
        None, {"SESSIONIZER_HEALTH_FILE": str(path), "SESSIONIZER_STATE_DIRECTORY": str(tmp_path / "state")}
    )
    check_machine(config)
    assert not path.exists()
    (directory,) = (tmp_path / "state").iterdir()
    assert stat.S_ISDIR(directory.stat().st_mode)
    assert list(directory.iterdir()) == []
