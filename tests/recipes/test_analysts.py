"""The page for analysts: every query is on it, and its figures are those that plain loops count."""

import re

from tests.recipes import figures
from tests.recipes.figures import PAGE, Row, assert_same
from tests.recipes.visits import Site

SHOWN_ROWS = 4


def test_every_query_answers_a_question_and_no_other_is_named() -> None:
    questions = section("Questions")
    asked = re.findall(r"^\|[^|]*\?[^|]*\|[^|]*\|([^|]*)\|", questions, re.MULTILINE)
    named = {name for cell in asked for name in re.findall(r"`(\w+)`", cell)}
    assert named == figures.RECIPES.keys()


def test_the_figures_are_those_that_plain_loops_count(sites: dict[str, Site]) -> None:
    shown: dict[str, list[Row]] = {}
    for recipe, text in re.findall(r"^\| `(\w+)` \| (.+) \|$", section("Figures to check by"), re.MULTILINE):
        shown.setdefault(recipe, []).append(dict(map(figure, text.split(", "))))
    assert shown.keys() == figures.RECIPES.keys()
    for recipe, rows in shown.items():
        assert_same(rows, figures.RECIPES[recipe](sites["demo"])[:SHOWN_ROWS])


def figure(text: str) -> tuple[str, object]:
    """``people 37`` and ``day `2026-03-01` ``: a column and its figure."""
    column, _, value = text.partition(" ")
    if value.startswith("`"):
        return column, value.strip("`")
    return column, None if value == "null" else float(value)


def section(heading: str) -> str:
    text = PAGE.read_text()
    return text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
