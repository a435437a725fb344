"""The house keeps its own rules: who imports whom, what the core never does, names, lengths, foreign places.

The rules are the tables of ``tests.house``; why they are so: docs/architecture.md.
"""

import subprocess
from pathlib import Path

import pytest

from tests.house import LIBRARIES, MAY_IMPORT, MOST_LINES, breaches, foreign_places

ROOT = Path(__file__).parent.parent


def sources() -> dict[str, str]:
    """The worker's Python files: path from the root -> text."""
    files = sorted((ROOT / "worker").rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): file.read_text() for file in files}


def texts() -> dict[str, str]:
    """The project's files: what git tracks or would track; where there is no git, all that is not hidden."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
        files = [ROOT / name for name in listed.split("\0") if name]
    else:
        hidden = {".venv", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache", "__pycache__"}
        files = [file for file in ROOT.rglob("*") if not hidden.intersection(file.relative_to(ROOT).parts)]
    found = {}
    for file in files:
        if file.is_file():
            found[file.relative_to(ROOT).as_posix()] = file.read_text(errors="replace")
    return found


def test_the_worker_keeps_the_rules_of_the_house() -> None:
    found = [finding for path, source in sources().items() for finding in breaches(path, source)]
    assert not found, "\n" + "\n".join(found)


def test_no_file_names_a_place_outside_the_project() -> None:
    found = [finding for path, text in texts().items() for finding in foreign_places(path, text)]
    assert not found, "\n" + "\n".join(found)


def test_no_layer_may_import_what_may_import_it() -> None:
    def reachable(layer: str) -> set[str]:
        direct = MAY_IMPORT[layer]
        return direct.union(*map(reachable, direct))

    assert not [layer for layer in MAY_IMPORT if layer in reachable(layer)]


def test_task_and_adapters_meet_only_in_a_composition() -> None:
    assert "adapters" not in MAY_IMPORT["task"]
    assert "task" not in MAY_IMPORT["adapters"]
    assert [layer for layer, others in MAY_IMPORT.items() if others >= {"task", "adapters"}] == [
        "assembly",
        "app",
        "replay",
    ]


def test_every_library_has_layers_that_exist() -> None:
    assert all(layers <= MAY_IMPORT.keys() for layers in LIBRARIES.values())


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        (
            "worker/core/sessions.py",
            "\n\nimport time\n",
            "worker/core/sessions.py:3 imports time: the core has no clock",
        ),
        (
            "worker/core/sessions.py",
            "from random import Random\n",
            "sessions.py:1 imports random: the core has no chance",
        ),
        (
            "worker/core/decode.py",
            "import logging\n",
            "decode.py:1 imports logging: the core has no voice",
        ),
        ("worker/core/decode.py", "def f():\n    import asyncio\n", "decode.py:2 imports asyncio"),
        ("worker/core/decode.py", "from worker.ports import Clock\n", "core may import of the worker model"),
        ("worker/core/decode.py", "from ..ports import Clock\n", "imports worker.ports"),
        (
            "worker/task/worker.py",
            "from worker.adapters.kafka import x\n",
            "imports worker.adapters.kafka: task may",
        ),
        ("worker/task/worker.py", "from worker import adapters\n", "imports worker.adapters: task may"),
        ("worker/task/worker.py", "import aiokafka.errors\n", "imports aiokafka: only adapters, demo may"),
        ("worker/model/utils.py", "", "'utils' says nothing of what is inside"),
        ("worker/task/worker.py", "class Manager: ...\n", "worker.py:1 'Manager' says nothing"),
        ("worker/new/thing.py", "", "worker.new has no layer yet"),
        ("worker/app.py", "x = 1\n" * (MOST_LINES + 1), f"{MOST_LINES + 1} lines, at most {MOST_LINES}"),
    ],
)
def test_a_breach_is_found_and_told_with_its_place(path: str, source: str, expected: str) -> None:
    (finding,) = breaches(path, source)
    assert expected in finding


@pytest.mark.parametrize(
    "source",
    [
        "from worker.model.events import Event\nimport hashlib\nimport msgspec\n",
        "from worker.core import sessions\n",
        "from worker import __version__\n",
    ],
)
def test_what_the_core_may_import_is_no_breach(source: str) -> None:
    assert breaches("worker/core/pipeline.py", source) == []


@pytest.mark.parametrize(
    "text", ["see /" + "home/me/notes", "https://" + "pypi" + ".org/simple", "/" + "root/.m2"]
)
def test_a_foreign_place_is_found_with_its_line(text: str) -> None:
    (finding, *_) = foreign_places("docs/a.md", "\n" + text)
    assert finding.startswith("docs/a.md:2 names")
