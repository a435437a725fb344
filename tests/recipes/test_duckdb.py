"""The DuckDB recipes, on the files of a replay: the figures that one counts by hand, or with plain loops."""

import datetime
from pathlib import Path

import duckdb
import pytest

from tests.recipes import figures, worked_example
from tests.recipes.figures import QUERIES, RECIPES_DIRECTORY, Row, assert_same

TABLES = RECIPES_DIRECTORY / "duckdb" / "tables.sql"


def answer(output: Path, recipe: str) -> list[Row]:
    """The rows of a recipe's query, run in the directory of the output files."""
    with duckdb.connect() as connection:
        connection.execute(f"set file_search_path = '{output}'")
        connection.execute(TABLES.read_text())
        found = connection.execute((QUERIES / f"{recipe}.sql").read_text())
        columns = [column[0] for column in found.description or ()]
        return [dict(zip(columns, map(plain, row), strict=True)) for row in found.fetchall()]


def plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime.date) else value


def test_every_query_is_held_against_figures() -> None:
    queries = {path.stem for path in QUERIES.glob("*.sql")}
    assert queries == figures.RECIPES.keys() == worked_example.FIGURES.keys()


@pytest.mark.parametrize("recipe", figures.RECIPES)
def test_a_recipe_answers_what_one_counts_by_hand(recipe: str, outputs: dict[str, Path]) -> None:
    assert_same(answer(outputs["by hand"], recipe), worked_example.FIGURES[recipe])


@pytest.mark.parametrize("traffic", ["by hand", "invented"])
@pytest.mark.parametrize("recipe", figures.RECIPES)
def test_a_recipe_answers_what_plain_loops_count(recipe: str, traffic: str, outputs: dict[str, Path]) -> None:
    assert_same(answer(outputs[traffic], recipe), figures.RECIPES[recipe](outputs[traffic]))
