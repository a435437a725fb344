"""Commands whose standard streams somebody closed, or whose disk is full."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

RAW = '{"id": "e1", "type": "pageview", "device_id": "d1", "timestamp": 1760000000000}\n'
COMMANDS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("--version",), 0),
    (("config", "show"), 0),
    (("health",), 1),
    (("check",), 1),
    (("topics", "create", "--partitions", "1"), 1),
    (("replay", "raw.ndjson", "--output", "replayed"), 0),
    (("demo", "--events", "20", "--output", "shown"), 0),
    (("run",), 1),
    (("run", "--processes", "2"), 1),
)


def ended_without(
    closed: Sequence[int], command: Sequence[str], directory: Path
) -> subprocess.CompletedProcess[str]:
    """How the command ended with these descriptors closed. No broker answers, and no worker can start."""
    (directory / "raw.ndjson").write_text(RAW)
    variables = {
        "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "SESSIONIZER_HEALTH_FILE": str(directory / "not there" / "health"),
        "SESSIONIZER_STATE_DIRECTORY": str(directory / "state"),
    }

    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    return subprocess.run(
        [sys.executable, "-m", "worker", *command],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), **variables},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=close,
        timeout=120,
    )


@pytest.mark.parametrize(("command", "code"), COMMANDS, ids=lambda value: str(value))
def test_a_command_with_a_closed_output_ends_as_ever(
    command: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    ended = ended_without([1], command, tmp_path)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == code


@pytest.mark.parametrize("command", [("config", "show"), ("run",), ("run", "--processes", "2")])
def test_a_command_with_all_streams_closed_ends_as_ever(command: tuple[str, ...], tmp_path: Path) -> None:
    assert ended_without([0, 1, 2], command, tmp_path).returncode == dict(COMMANDS)[command]


LATER_FILE = """
import sys
from worker.cli.standard_streams import replace_closed_streams
replace_closed_streams()
with open(sys.argv[1], "w") as later:
    print("lost words")
    print("lost words", file=sys.stderr)
    later.write(f"{sys.stdin.read()}{later.fileno() > 2}")
"""


def test_what_is_printed_never_ends_in_a_file_that_is_opened_later(tmp_path: Path) -> None:
    def close() -> None:
        for descriptor in range(3):
            os.close(descriptor)

    command = [sys.executable, "-c", LATER_FILE, str(tmp_path / "later")]
    assert subprocess.run(command, preexec_fn=close, check=False).returncode == 0
    assert (tmp_path / "later").read_text() == "True"


def test_an_output_that_cannot_be_written_is_one_line_and_exit_code_1() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "worker", "config", "show"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, "standard output: No space left on device\n")


def test_a_directory_that_cannot_be_made_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    place = tmp_path / "a file"
    place.touch()
    ended = subprocess.run(
        [sys.executable, "-m", "worker", "demo", "--events", "5", "--output", str(place / "within")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, f"{place}/within: Not a directory\n")
