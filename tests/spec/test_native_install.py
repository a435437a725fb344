"""``native/install.py``: set-up succeeds without cargo, and with one that is broken, in one line at most."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest

from worker import __version__
from worker.native import library
from worker.native.library import accepted
from worker.native.sources import expected_hash, sources_hash

TOP = Path(__file__).parents[2]


def fake_module(**names: str) -> ModuleType:
    module = ModuleType("sessionizer_native")
    vars(module).update(names)
    return module


class Desk:
    """A virtual environment without the native library, and a PATH that a test fills."""

    def __init__(self, directory: Path) -> None:
        venv.create(directory / "venv", with_pip=False)
        self.python = directory / "venv" / "bin" / "python"
        self.tools = directory / "tools"
        self.tools.mkdir()

    def has(self, name: str, script: str) -> None:
        """Put an executable on the PATH."""
        tool = self.tools / name
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)

    def install(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, TOP / "native" / "install.py", *options],
            env={"PATH": str(self.tools)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_without_cargo_one_line_says_so_and_only_once(desk: Desk) -> None:
    first, second = desk.install(), desk.install()
    assert (first.returncode, first.stderr, first.stdout.count("\n")) == (0, "", 1)
    assert "No cargo" in first.stdout
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_where_the_engine_must_be_built_no_cargo_is_a_failure(desk: Desk) -> None:
    ended = desk.install("--must")
    assert ended.returncode == 1
    assert ended.stderr == "The native library was not built: cargo: FileNotFoundError\n"


def test_a_cargo_that_does_not_start_is_one_line(desk: Desk) -> None:
    desk.has("cargo", "echo 'error: rustup could not choose a version of cargo to run' >&2; exit 1")
    first, second = desk.install(), desk.install()
    assert (first.returncode, first.stdout, first.stderr.count("\n")) == (0, "", 1)
    assert "cargo ended with 1: error: rustup could not choose" in first.stderr
    assert (second.returncode, second.stdout, second.stderr.count("\n")) == (0, "", 1)
    assert second.stderr == first.stderr[:-1] + ". Try again: make native\n"
    assert desk.install("--must").returncode == 1


def test_a_build_that_fails_is_one_line_with_its_log(desk: Desk) -> None:
    """As without a network: cargo starts, and can fetch nothing."""
    desk.has("cargo", "echo cargo 1.95.0")
    desk.has("maturin", "echo noise; echo '  error: failed to fetch a crate' >&2; echo more; exit 101")
    ended = desk.install()
    assert (ended.returncode, ended.stdout) == (0, "Building the native library ...\n")
    assert ended.stderr.count("\n") == 1
    assert "maturin ended with 101: error: failed to fetch a crate (all of it: " in ended.stderr
    log = Path(ended.stderr.rpartition("all of it: ")[2].rstrip(")\n"))
    assert "noise" in log.read_text()


def test_an_attempt_that_was_interrupted_is_made_again(desk: Desk) -> None:
    desk.has("cargo", "kill -INT $PPID; exec sleep 10")
    assert desk.install().returncode not in (0, 1)
    desk.has("cargo", "exit 1")
    assert "cargo ended with 1" in desk.install().stderr


def test_a_library_of_other_sources_is_removed_before_the_build(desk: Desk) -> None:
    """Also where an attempt failed before, and is not made again."""
    desk.has("cargo", "exit 1")
    assert "Try again" not in desk.install().stderr
    (site,) = desk.python.parents[1].glob("lib/python*/site-packages")
    (site / "sessionizer_native.py").write_text("SOURCES = 'other'")
    (site / "pip.py").write_text(f"open({str(desk.tools / 'asked')!r}, 'w').write('pip')")
    assert "Try again" in desk.install().stderr
    assert (desk.tools / "asked").is_file()


def test_what_cannot_be_removed_is_one_line(desk: Desk) -> None:
    (site,) = desk.python.parents[1].glob("lib/python*/site-packages")
    (site / "sessionizer_native.py").write_text("SOURCES = 'other'")
    ended = desk.install()
    assert (ended.returncode, ended.stderr.count("\n")) == (0, 1)
    assert "No module named pip" in ended.stderr


def test_an_environment_that_cannot_be_written_to_is_one_line(desk: Desk) -> None:
    desk.has("cargo", "exit 1")
    for name in ("native-build.log", ".native-tried"):
        (desk.python.parents[1] / name).mkdir()
    ended = desk.install()
    assert (ended.returncode, ended.stderr.count("\n")) == (0, 1)
    assert ended.stderr.endswith("cargo ended with 1: it says nothing\n")


@pytest.mark.parametrize("missing", ["clippy", "fmt"])
def test_where_a_tool_of_cargo_is_missing_its_checks_are_left_out_in_one_line(
    desk: Desk, missing: str
) -> None:
    desk.has("cargo", f'test "$1" != {missing}')
    (site,) = desk.python.parents[1].glob("lib/python*/site-packages")
    (site / "sessionizer_native.py").write_text(f"SOURCES = {sources_hash(TOP)!r}")
    assert desk.install("--check").returncode == 0
    ended = desk.install("--check", "fmt", "clippy")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout == f"cargo {missing} is not installed: what it checks is left out.\n"


def test_another_compiler_is_tried_again(desk: Desk) -> None:
    assert "No cargo" in desk.install().stdout
    desk.has("cargo", "exit 1")
    assert "cargo ended with 1: it says nothing" in desk.install().stderr


def test_without_cargo_the_checks_of_cargo_are_left_out(desk: Desk) -> None:
    assert desk.install("--check").returncode == 1


@pytest.mark.parametrize(
    "changed", ["native/engine/src/lib.rs", "native/Cargo.lock", "worker/model/events.py"]
)
def test_a_change_of_the_sources_or_of_a_table_changes_the_hash(tmp_path: Path, changed: str) -> None:
    shutil.copytree(TOP / "native", tmp_path / "native", ignore=shutil.ignore_patterns("target"))
    shutil.copytree(TOP / "worker", tmp_path / "worker", ignore=shutil.ignore_patterns("__pycache__"))
    before = sources_hash(tmp_path)
    assert before == sources_hash(TOP) == expected_hash()
    (tmp_path / "native" / "engine" / "notes.txt").write_text("is no source")
    assert sources_hash(tmp_path) == before
    with (tmp_path / changed).open("a") as file:
        file.write("\n")
    assert sources_hash(tmp_path) != before


def test_a_wheel_has_the_hash_that_it_was_built_with(tmp_path: Path) -> None:
    (tmp_path / "sources.txt").write_text("00c0ffee\n")
    assert expected_hash(tmp_path, tmp_path / "sources.txt") == "00c0ffee"
    assert expected_hash(tmp_path, tmp_path / "none.txt") is None


def test_a_library_of_other_sources_is_refused_and_says_why() -> None:
    module = fake_module(SOURCES="00000001")
    assert accepted(module, "00000001").module is module
    assert accepted(module, None).module is None
    assert accepted(fake_module(), None).module is None
    refused = accepted(module, "00000002")
    assert refused.module is None
    assert refused.missing_because == (
        "it was built from other sources (00000001) than this program's (00000002)"
    )
    assert accepted(fake_module(), "00000002").module is None


def test_a_checkout_that_is_not_whole_has_no_library_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> str:
        raise FileNotFoundError(2, "No such file or directory", "native/Cargo.lock")

    monkeypatch.setitem(sys.modules, "sessionizer_native", fake_module(SOURCES="00000001"))
    monkeypatch.setattr(library, "expected_hash", failing)
    found = library.native_library()
    assert (found.module, found.is_unusable) == (None, True)
    assert "this checkout is not whole: [Errno 2]" in found.missing_because


def test_cargo_lock_names_cargos_own_registry_alone() -> None:
    lines = (TOP / "native" / "Cargo.lock").read_text().splitlines()
    sources = {line for line in lines if line.startswith("source")}
    assert sources == {'source = "registry+https://github.com/rust-lang/crates.io-index"'}


def test_program_and_library_have_one_version() -> None:
    assert f'version = "{__version__}"' in (TOP / "native" / "Cargo.toml").read_text()
    assert f'"sessionizer-native=={__version__}"' in (TOP / "pyproject.toml").read_text()


def test_this_checkouts_library_is_the_one_for_it_where_it_is_installed() -> None:
    """``.ci/run`` fails where it is not installed."""
    script = "from worker.native.library import native_library as n; print(n().missing_because)"
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=TOP, env=os.environ, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() in ("", "it is not installed")
