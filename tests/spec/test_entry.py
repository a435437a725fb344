"""The console script finds its own package ``worker``, whatever else is called so."""

import os
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from testing.wait import wait_until
from worker import __version__

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).with_name("sessionizer")
OTHER = "print('the other worker runs')\n"


@pytest.fixture(params=["worker.py", "worker/__init__.py", "worker/cli.py"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where somebody has a module or a package ``worker`` of his own."""
    file = tmp_path / request.param
    file.parent.mkdir(exist_ok=True)
    file.write_text(OTHER)
    return tmp_path


def environment(**variables: str) -> dict[str, str]:
    """This machine's, without its SESSIONIZER_ variables, with ``PYTHONPATH=.``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONIZER_")}
    return {**kept, "PYTHONPATH": ".", **variables}


def ended(command: Sequence[object], directory: Path, **variables: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=directory,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "command", [[SCRIPT], [sys.executable, SCRIPT], [sys.executable, "-m", "sessionizer_entry"]]
)
def test_another_worker_in_the_working_directory_is_passed_over(
    directory: Path, command: Sequence[object]
) -> None:
    assert ended([*command, "--version"], directory) == (0, f"sessionizer {__version__}\n", "")
    code, out, err = ended([*command, "config", "show"], directory)
    assert (code, err) == (0, "")
    assert "kafka.bootstrap_servers" in out
    assert "the other worker" not in out


def test_so_is_it_by_the_processes_of_a_supervisor(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(OTHER)
    log = tmp_path / "log"
    variables = {
        "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "SESSIONIZER_STATE_DIRECTORY": str(tmp_path / "state"),
    }
    with log.open("wb") as written:
        process = subprocess.Popen(
            [SCRIPT, "run", "--processes", "2"],
            cwd=tmp_path,
            env=environment(**variables),
            stdout=written,
            stderr=written,
        )
    try:
        # Both have loaded all that a worker is made of, and cannot reach the brokers.
        wait_until(
            lambda: all(
                any(f'"slot":{slot}' in line and "request.failed" in line for line in _compact(log))
                for slot in (0, 1)
            ),
            what="both processes look for brokers",
            timeout_s=60,
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert "the other worker" not in log.read_text()


def _compact(log: Path) -> list[str]:
    return log.read_text().replace(" ", "").splitlines()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"worker/__init__.py": OTHER}, "{home}/worker/__init__.py is another program's"),
        ({"worker.py": OTHER}, "{home}/worker.py is another program's"),
        ({}, "it is missing"),
        ({"worker/tasks.py": OTHER}, "it is missing"),
        (
            {"worker/__init__.py": (ROOT / "worker/__init__.py").read_text()},
            "No module named 'worker.cli'",
        ),
    ],
)
def test_a_worker_that_was_installed_over_ours_is_reported_in_one_line(
    tmp_path: Path, files: dict[str, str], reason: str
) -> None:
    home = tmp_path / "site"
    home.mkdir()
    shutil.copy(ROOT / "sessionizer_entry.py", home)
    for name, text in files.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
    code, out, err = ended([sys.executable, home / "sessionizer_entry.py", "--help"], tmp_path)
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line == (
        f"sessionizer: the package `worker` in {home} is not sessionizer's: {reason.format(home=home)}. "
        "Another distribution with a package of that name was installed over it, or removed a part of it: "
        "install sessionizer into a virtual environment of its own"
    )


def test_a_library_that_is_missing_is_not_taken_for_another_worker(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import no_such_library\n")
    code, _, err = ended([SCRIPT, "--help"], tmp_path)
    assert code == 1
    assert "ModuleNotFoundError: No module named 'no_such_library'" in err


def test_the_wheel_brings_both_and_its_script_is_immune(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(OTHER)
    built, site = tmp_path / "dist", tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", built],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = built.iterdir()
    zipfile.ZipFile(wheel).extractall(site)
    (points,) = site.glob("*.dist-info/entry_points.txt")
    assert "sessionizer = sessionizer_entry:main" in points.read_text()
    code = (
        "import sys, sessionizer_entry\n"
        "try: sessionizer_entry.main()\n"
        "finally: print(sys.modules['worker'].__file__, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "--version"]
    variables = {"PYTHONPATH": f".{os.pathsep}{site}"}
    expected = (0, f"sessionizer {__version__}\n", f"{site}/worker/__init__.py\n")
    assert ended(command, tmp_path, **variables) == expected


def test_the_image_is_built_from_all_that_the_wheel_needs() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = (ROOT / "Dockerfile").read_text()
    sent_to_the_engine = (ROOT / ".dockerignore").read_text().splitlines()
    for name in wheel["only-include"]:
        assert f"COPY {name} " in copied
        assert f"!{name}" in sent_to_the_engine
