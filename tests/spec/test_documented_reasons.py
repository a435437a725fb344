"""Every reason that docs/operations.md quotes is one that the worker can give."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

VARIABLE = re.compile(r"\b[XYNM]\b|\bthis worker started\b|\bthis group began\b|\b\d\b")
"""What stands for a value, or is one, in a quoted reason."""

BLANK = "\0"


def quoted() -> list[str]:
    """The first column of the table."""
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page.split("## When the worker stops by itself")[1].split("\n\nA process")[0]
    return [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()[6:] if row.startswith("| ")]


def texts() -> list[str]:
    """Every text of the worker's code; a value in it is a blank."""
    found = []
    for file in sorted((ROOT / "worker").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else BLANK for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


TEXTS = texts()


def test_the_table_is_found() -> None:
    assert len(quoted()) > 15


@pytest.mark.parametrize("reason", quoted())
def test_a_quoted_reason_is_one_that_the_worker_gives(reason: str) -> None:
    pattern, end = "", 0
    for variable in VARIABLE.finditer(reason):
        pattern += re.escape(reason[end : variable.start()])
        if pattern:  # one at the front is whatever stands there
            pattern += f"(?:{BLANK}(?: {BLANK})*|{variable[0]})"
        end = variable.end()
    pattern += re.escape(reason[end:])
    assert any(re.search(pattern, text) for text in TEXTS), reason


@pytest.mark.parametrize("text", ["this worker started", "this group began"])
def test_since_when_there_are_other_partitions_is_what_the_worker_says(text: str) -> None:
    assert text in TEXTS
