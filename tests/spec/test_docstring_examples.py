"""Every example in a docstring of the worker is correct."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def modules_with_examples() -> list[str]:
    """Names of the worker's modules that have an example somewhere."""
    files = sorted((ROOT / "worker").rglob("*.py"))
    return [
        ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if ">>> " in file.read_text()
    ]


@pytest.mark.parametrize("name", modules_with_examples())
def test_what_an_example_shows_is_what_comes_out(name: str) -> None:
    module = importlib.import_module(name)
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for example in doctest.DocTestFinder().find(module, name):
        runner.run(example, out=report.append)
    assert runner.tries > 0
    assert not report, "".join(report)


def test_the_rules_are_shown_by_example() -> None:
    shown = {name.removeprefix("worker.") for name in modules_with_examples()}
    assert shown >= {
        "core.identity",
        "core.sessions",
        "core.partitioner",
        "core.pipeline",
        "core.state_codec",
    }
