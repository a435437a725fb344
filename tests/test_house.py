"""The house keeps its own rules: who imports whom, what the core never does, names, sizes, foreign places.

The rules are the tables of ``tests.house``; why they are so: docs/architecture.md.
"""

import subprocess
from pathlib import Path

import pytest

from tests.house import (
    LIBRARIES,
    MAY_IMPORT,
    MOST_FUNCTION_LINES,
    MOST_LINES,
    MOST_PARAMETERS,
    TREES,
    breaches,
    foreign_places,
    import_circles,
    unused_allowances,
)

ROOT = Path(__file__).parent.parent


def sources() -> dict[str, str]:
    """The Python files of all trees: path from the root -> text."""
    files = [file for tree in TREES for file in sorted((ROOT / tree).rglob("*.py"))]
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


def test_every_file_keeps_the_rules_of_the_house() -> None:
    found = [finding for path, source in sources().items() for finding in breaches(path, source)]
    assert not found, "\n" + "\n".join(found)


def test_no_modules_import_each_other() -> None:
    found = import_circles(sources())
    assert not found, "\n" + "\n".join(found)


def test_everything_that_is_allowed_is_used() -> None:
    found = unused_allowances(sources())
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
            "decode.py:1 imports logging: the core has no log",
        ),
        ("worker/model/rules.py", "import zoneinfo\n", "rules.py:1 imports zoneinfo: the model has no clock"),
        ("worker/core/decode.py", "import json\n", "decode.py:1 imports json: the core has its list"),
        (
            "worker/core/sessions.py",
            "a = b is None or b is not NO_JSON\na = b is not state.current\n",
            "sessions.py:2 asks whether it is state.current: compare values or numbers",
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
        ("worker/new/place.py", "", "worker.new has no layer yet"),
        ("bench/run.py", "def f():\n    from tests import builders\n", "run.py:2 imports tests: bench may"),
        ("tests/builders.py", "from bench.load import fill\n", "imports bench.load: tests may"),
        ("testing/wait.py", "import tests.builders\n", "imports tests.builders: testing may"),
        ("worker/app.py", "import testing\n", "imports testing: worker may import of the other trees none"),
        (
            "worker/adapters/kafka/source.py",
            "from aiokafka.consumer.fetcher import FetchResult\n",
            "source.py:1 imports aiokafka.consumer, which the client does not promise",
        ),
        ("worker/demo/topics.py", "from aiokafka import conn\n", "imports aiokafka.conn, which"),
        (
            "worker/adapters/kafka/source.py",
            "class A:\n    def f(self, a):\n        return self._a, a._b.c\n",
            "source.py:3 uses a._b, a private name",
        ),
        ("worker/task/restoring.py", "", "'restoring' is a participle"),
        (
            "worker/app.py",
            "def f():\n" + "    x = 1\n" * MOST_FUNCTION_LINES,
            "app.py:1 f: 71 lines, at most 70",
        ),
        (
            "worker/app.py",
            "class A:\n    def f(self, a, b, c, /, d, *e, f, **g): ...\n",
            "2 A.f: 7 parameters",
        ),
        ("tests/builders.py", "async def f(a, b, c, d, e, f, g): ...\n", "builders.py:1 f: 7 parameters"),
        (
            "bench/run.py",
            f'"""{"word " * 40}\n\nMore."""\n',
            "run.py:1 has a first sentence of 199 characters",
        ),
        ("bench/run.py", f'class A:\n    """{"x" * 160}."""\n', "run.py:1 has a first sentence of 161"),
        ("worker/app.py", "x = 1\n" * (MOST_LINES + 1), f"{MOST_LINES + 1} lines, at most {MOST_LINES}"),
    ],
)
def test_a_breach_is_found_with_its_place(path: str, source: str, expected: str) -> None:
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


def test_what_pytest_calls_may_ask_for_any_number_of_fixtures() -> None:
    fixtures = ", ".join("abcdefg")
    source = f"@pytest.fixture(scope='session')\ndef place({fixtures}): ...\ndef test_a({fixtures}): ...\n"
    assert len("abcdefg") > MOST_PARAMETERS
    assert breaches("tests/spec/test_a.py", source) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("from worker.core import b\n", "import worker.core.a\n"),
        (
            "def f():\n    from . import b\n",
            "if TYPE_CHECKING:\n    from .a import x\n",
        ),
    ],
)
def test_modules_that_import_each_other_are_found(first: str, second: str) -> None:
    sources = {"worker/core/a.py": first, "worker/core/b.py": second, "worker/core/c.py": "from . import a\n"}
    (finding,) = import_circles(sources)
    assert finding.startswith("worker.core.a imports worker.core.b imports worker.core.a: move")


def test_a_package_and_its_modules_are_no_circle() -> None:
    assert (
        import_circles({"worker/__init__.py": "from worker import a\n", "worker/a.py": "import msgspec\n"})
        == []
    )


def test_an_allowance_that_nobody_uses_is_found() -> None:
    unused = unused_allowances({"worker/core/pipeline.py": "import re\nfrom worker.model import events\n"})
    assert "TREES: bench imports no worker" in unused
    assert "MAY_IMPORT: task imports no core" in unused
    assert "LIBRARIES: core imports no msgspec" in unused
    assert "CORE_LIBRARY: the core imports no zlib" in unused
    assert "CLIENT_MODULES: nobody imports aiokafka.errors" in unused
    assert "NOUNS_IN_ING: no module is called closing" in unused
    assert not {"MAY_IMPORT: core imports no model", "CORE_LIBRARY: the core imports no re"}.intersection(
        unused
    )


@pytest.mark.parametrize(
    "text", ["see /" + "home/me/notes", "https://" + "pypi" + ".org/simple", "/" + "root/.m2"]
)
def test_a_foreign_place_is_found_with_its_line(text: str) -> None:
    (finding, *_) = foreign_places("docs/a.md", "\n" + text)
    assert finding.startswith("docs/a.md:2 names")
