"""The worked example of CONTRIBUTING.md is whole: its diff applies to this tree and turns its tests green."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = ("worker", "tests", "testing", "docs", "config", "pyproject.toml")
SPECS = ("tests/spec/test_session_merging.py", "tests/spec/test_continuation.py")
PROPERTIES = (
    "tests/properties/test_continuation_properties.py",
    "tests/properties/test_outputs_properties.py",
)
AGAIN = "the example has to follow the tree: make the change by hand and take the output of git diff -U1"


def example() -> str:
    """All diffs of the page."""
    return "".join(re.findall(r"^```diff\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.M | re.S))


def copy_of_the_tree(directory: Path) -> Path:
    """What the tests of the example need."""
    unneeded = shutil.ignore_patterns("libs", "__pycache__", ".*")
    for name in NEEDED:
        source, target = ROOT / name, directory / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=unneeded)
        else:
            shutil.copy(source, target)
    return directory


def apply(tree: Path, *options: str) -> None:
    done = subprocess.run(
        ["git", "apply", *options, "-"],
        cwd=tree,
        input=example(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}{AGAIN}"


def is_green(tree: Path, tests: Sequence[str]) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


def test_the_example_goes_from_a_red_test_to_green_ones(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    for part in ("docs/*", "tests/spec/test_session_merging.py"):
        apply(tree, f"--include={part}")
    assert not is_green(tree, SPECS[:1])
    for part in ("tests/reference/*", "worker/core/sessions.py"):
        apply(tree, f"--include={part}")
    assert not is_green(tree, PROPERTIES[:1]), "the shortcut is still as before"
    for part in ("worker/core/continuation.py", "tests/spec/test_continuation.py"):
        apply(tree, f"--include={part}")
    assert is_green(tree, [*SPECS, *PROPERTIES])
