"""The ClickHouse recipe, where the package chdb is installed: plain loops count the same figures.

Without it this file is not collected; the head of the test run says so.
"""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.recipes import figures
from tests.recipes.clickhouse import CLICKHOUSE, ClickHouse, statements
from tests.recipes.figures import TRAFFICS, VISITS, assert_same
from tests.recipes.traffic import Traffic
from tests.recipes.visits import Site


@pytest.fixture(scope="module")
def clickhouse(outputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> ClickHouse:
    clickhouse = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    for name, output in outputs.items():
        clickhouse.load(name.replace(" ", "_"), output)
    return clickhouse


def test_every_query_is_held_against_figures() -> None:
    assert {path.stem for path in CLICKHOUSE.glob("*.sql")} == figures.RECIPES.keys() | {"tables", "kafka"}


@pytest.mark.parametrize("name", TRAFFICS)
@pytest.mark.parametrize("recipe", figures.RECIPES)
def test_a_recipe_answers_what_plain_loops_count(
    recipe: str, name: str, clickhouse: ClickHouse, sites: dict[str, Site]
) -> None:
    query = (CLICKHOUSE / f"{recipe}.sql").read_text()
    rows = clickhouse.rows(name.replace(" ", "_"), query)
    assert_same(rows, figures.RECIPES[recipe](sites[name]))


@pytest.mark.parametrize("name", TRAFFICS)
def test_every_visit_is_the_one_that_plain_loops_find(
    name: str, clickhouse: ClickHouse, sites: dict[str, Site]
) -> None:
    rows = clickhouse.rows(name.replace(" ", "_"), VISITS)
    assert_same(rows, [visit.row() for visit in sites[name].visits])


def test_days_are_those_of_the_time_zone_that_one_place_names(
    clickhouse: ClickHouse, outputs: dict[str, Path], traffic: dict[str, Traffic]
) -> None:
    zone = "America/New_York"
    clickhouse.load("elsewhere", outputs["demo"], zone)
    rows = clickhouse.rows("elsewhere", (CLICKHOUSE / "active_users_a_day.sql").read_text())
    assert_same(rows, figures.active_users_a_day(traffic["demo"].site(zone=ZoneInfo(zone))))
    clickhouse.run("drop function day_of", *day_of_statement())


def day_of_statement() -> list[str]:
    """The function as the recipe makes it: it is one for all databases."""
    return [one for one in statements((CLICKHOUSE / "tables.sql").read_text()) if "function day_of" in one]
