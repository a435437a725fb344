"""Builds the native engine and installs it into the environment that runs this: ``python native/install.py``.

Decides when there is something to build, and how a failure is told: in one line, with exit code 0, since the
program runs without it; ``--must`` ends with 1 instead. Knows nothing of what the library does. Invariant: a
library that was built from other sources than these is not left installed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
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
    """Build and install what is missing; the exit code."""
    parser = argparse.ArgumentParser(description="Build the native engine and install it here.")
    parser.add_argument("--must", action="store_true", help="fail where that is not possible")
    parser.add_argument("--wheel", type=Path, metavar="DIRECTORY", help="only build a wheel, into it")
    parser.add_argument("--check", action="store_true", help="only: is it built, and cargo here to test it?")
    options = parser.parse_args()
    wanted, cargo = sources_hash(_TOP), shutil.which("cargo")
    if options.wheel is not None:
        return _told(lambda: _build(options.wheel), must=True)
    if options.check:
        return int(cargo is None or _installed_hash() != wanted)
    if _installed_hash() == wanted:
        return 0
    attempt = f"{wanted} {cargo}\n"
    if not options.must and _TRIED.is_file() and _TRIED.read_text() == attempt:
        return 0  # it was told, and nothing has changed
    _TRIED.write_text(attempt)
    if cargo is None and not options.must:
        _uninstall()
        print("No cargo was found: the program runs without its native engine.", flush=True)
        return 0
    return _told(_install, must=options.must)


def _told(work: Callable[[], None], *, must: bool) -> int:
    """The exit code of that work. A failure is one line."""
    try:
        work()
    except _BuildError as error:
        goes_on = "" if must else "; the program runs without it"
        print(f"The native engine was not built{goes_on}: {error}", file=sys.stderr)
        return int(must)
    return 0


def _install() -> None:
    with tempfile.TemporaryDirectory() as directory:
        try:
            _build(Path(directory))
        except _BuildError:
            _uninstall()
            raise
        (wheel,) = Path(directory).glob("*.whl")
        options = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--force-reinstall")
        _run([sys.executable, "-m", "pip", "install", *options, str(wheel)])
    if (built := _installed_hash()) != sources_hash(_TOP):
        raise _BuildError(f"what was installed says {built or 'nothing'} of its sources")


def _build(directory: Path) -> None:
    """Build a wheel into the directory. Raises _BuildError."""
    _run(["cargo", "--version"])
    here = str(Path(sys.executable).parent)
    maturin = shutil.which("maturin", path=os.pathsep.join([here, os.environ.get("PATH", "")]))
    if maturin is None:
        raise _BuildError("maturin is not installed")
    print("Building the native engine ...", flush=True)
    _run([maturin, "build", "--release", "--manifest-path", str(_CRATE), "--out", str(directory)])


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
    _LOG.write_text(f"{log}{output}")
    if ended.returncode:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        wrong = [line for line in lines if line.startswith("error")] or lines[-1:] or ["it says nothing"]
        name = Path(command[0]).name
        line = f"{name} ended with {ended.returncode}: {wrong[0]}"[:_MOST_CHARACTERS]
        raise _BuildError(f"{line} (all of it: {_LOG})")


def _installed_hash() -> str:
    """What the installed library was built from; empty where there is none, or it cannot be loaded."""
    command = [sys.executable, "-c", _BUILT_FROM]
    return subprocess.run(command, cwd=_TOP, capture_output=True, text=True, check=False).stdout.strip()


def _uninstall() -> None:
    """Remove a library of other sources, if there is one."""
    if _installed_hash():
        _run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", "sessionizer-native"])


if __name__ == "__main__":
    sys.exit(main())
