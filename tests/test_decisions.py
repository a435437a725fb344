"""docs/decisions.md: numbers that never change, each in the table at its top."""

import re
from pathlib import Path

TEXT = (Path(__file__).parents[1] / "docs" / "decisions.md").read_text()
NUMBERS = [int(number) for number in re.findall(r"^## (\d+) · \d{4}-\d\d-\d\d · ", TEXT, re.MULTILINE)]


def test_every_decision_has_the_next_number() -> None:
    assert len(NUMBERS) == TEXT.count("\n## ")
    assert list(range(1, len(NUMBERS) + 1)) == NUMBERS


def test_the_table_names_every_decision_once() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([\d, ]+) \|$", TEXT, re.MULTILINE)
    named = [int(number) for row in rows for number in row.split(", ")]
    assert sorted(named) == NUMBERS, "a decision stands in exactly one row of the table at the top"
