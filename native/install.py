"""Builds the native library, and installs it into the environment that runs this file.

Decides when there is something to build, and how a failure is told: in one line, with exit code 0, since the
program runs without it; ``--must`` ends with 1 instead. Knows nothing of what the library does. Invariants: a
library of other sources is removed before anything is built; a failure is told each time, tried again or not.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_TOP = Path(__file__).parents[1]
sys.path.insert(0, str(_TOP))
from worker.native.sources import sources_hash  # noqa: E402

_CRATE = _TOP / "native" / "python" / "Cargo.toml"
_NETWORK = {"CARGO_NET_RETRY": "1", "CARGO_HTTP_TIMEOUT": "20", "MATURIN_NO_INSTALL_RUST": "1"}
_BUILT_FROM = "import sessionizer_native; print(sessionizer_native.SOURCES)"
_LONGEST_S = 1_200.0
_LOG = Path(sys.prefix) / "native-build.log"
_TRIED = Path(sys.prefix) / ".native-tried"
_MOST_CHARACTERS = 160


class _BuildError(Exception):
    """What failed, in one line."""


def main() -> int:
    """Build and install what is missing; the exit code. A failure is one line."""
    parser = argparse.ArgumentParser(description="Build the native library and install it here.")
    parser.add_argument("--must", action="store_true", help="fail where that is not possible")
    parser.add_argument("--wheel", type=Path, metavar="DIRECTORY", help="only build a wheel, into it")
    parser.add_argument(
        "--check", nargs="*", metavar="TOOL", help="only: is it built, and cargo here with these tools?"
    )
    options = parser.parse_args()
    must = options.must or options.wheel is not None
    try:
        if options.check is not None:
            return int(not _can_check(options.check))
        if options.wheel is not None:
            _build(options.wheel)
        else:
            _bring_up_to_date(must=must)
    except (_BuildError, OSError) as error:
        goes_on = "" if must else "; the program runs without it"
        print(f"The native library was not built{goes_on}: {error}", file=sys.stderr)
        return int(must)
    return 0


def _can_check(tools: Sequence[str]) -> bool:
    """Whether cargo's own checks can run. What of them is not installed is one line."""
    if shutil.which("cargo") is None or _installed_hash() != sources_hash(_TOP):
        return False
    for tool in tools:
        try:
            _run(["cargo", tool, "--version"])
        except _BuildError:
            print(f"cargo {tool} is not installed: what it checks is left out.", flush=True)
            return False
    return True


def _bring_up_to_date(*, must: bool) -> None:
    """Install the library of these sources, or none. Raises _BuildError, OSError.

    What failed is not tried again with the same sources and cargo, unless it ``must``; it is told again.
    """
    wanted, cargo, installed = sources_hash(_TOP), shutil.which("cargo"), _installed_hash()
    if installed == wanted:
        return
    if installed:
        _run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", "sessionizer-native"])
    attempt = f"{wanted} {cargo}"
    tried, _, failure = _TRIED.read_text().partition("\n") if _TRIED.is_file() else ("", "", "")
    if tried == attempt and not must:
        if failure:
            raise _BuildError(f"{failure} Try again: make native")
        return
    if cargo is None and not must:
        print("No cargo was found: the program runs without its native library.", flush=True)
        _remember(attempt, "")
        return
    try:
        _install(wanted)
    except _BuildError as error:
        _remember(attempt, f"{error}.")
        raise


def _remember(attempt: str, failure: str) -> None:
    with suppress(OSError):  # then it is tried again
        _TRIED.write_text(f"{attempt}\n{failure}")


def _install(wanted: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        _build(Path(directory))
        (wheel,) = Path(directory).glob("*.whl")
        options = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--force-reinstall")
        _run([sys.executable, "-m", "pip", "install", *options, str(wheel)])
    if (built := _installed_hash()) != wanted:
        raise _BuildError(f"what was installed says {built or 'nothing'} of its sources")


def _build(directory: Path) -> None:
    """Build a wheel into the directory. Raises _BuildError."""
    _run(["cargo", "--version"])
    here = str(Path(sys.executable).parent)
    maturin = shutil.which("maturin", path=os.pathsep.join([here, os.environ.get("PATH", "")]))
    if maturin is None:
        raise _BuildError("maturin is not installed")
    print("Building the native library ...", flush=True)
    named = ["--config", f"build.rustflags={json.dumps(_path_flags())}"]
    _run([maturin, "build", "--release", *named, "--manifest-path", str(_CRATE), "--out", str(directory)])


def _path_flags() -> list[str]:
    """What makes the compiler name no directory of this machine in the library; the last that fits counts."""
    home = Path("~").expanduser()
    cargo = os.environ.get("CARGO_HOME", home / ".cargo")
    names = {home: "~", _TOP: ".", cargo: "cargo"}
    return [f"--remap-path-prefix={path}={name}" for path, name in names.items()]


def _run(command: Sequence[str]) -> None:
    """Run it, its output into the log. Raises _BuildError with the first line that says what is wrong."""
    log = f"$ {' '.join(command)}\n"
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=_TOP,
            env={**os.environ, **_NETWORK},
            timeout=_LONGEST_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _BuildError(f"{command[0]}: {type(error).__name__}"[:_MOST_CHARACTERS]) from error
    output = ended.stdout.decode(errors="replace")
    try:
        _LOG.write_text(f"{log}{output}")
        where = f" (all of it: {_LOG})"
    except OSError:
        where = ""
    if ended.returncode:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        wrong = [line for line in lines if line.startswith("error")] or lines[-1:] or ["it says nothing"]
        name = Path(command[0]).name
        line = f"{name} ended with {ended.returncode}: {wrong[0]}"[:_MOST_CHARACTERS]
        raise _BuildError(f"{line}{where}")


def _installed_hash() -> str:
    """What the installed library was built from; empty where there is none, or it cannot be loaded."""
    command = [sys.executable, "-c", _BUILT_FROM]
    return subprocess.run(command, cwd=_TOP, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
