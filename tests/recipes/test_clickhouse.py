"""The ClickHouse recipe, where the package chdb is installed: plain loops count the same figures.

It is no dependency of the project: with what it needs it takes 900 MB on disk. Without it this file is not
collected; the head of the test run says so. The engine Kafka is not run: its tables are filled as it would.
"""

import importlib
import json
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.recipes import figures
from tests.recipes.figures import RECIPES_DIRECTORY, TRAFFICS, VISITS, Row, assert_same
from tests.recipes.traffic import Traffic
from tests.recipes.visits import Site

CLICKHOUSE = RECIPES_DIRECTORY / "clickhouse"
QUEUES = {"sessions": "sessions", "identities": "identities", "events": "enriched"}
"""Name of a table -> the output file that its queue gets the records of."""


class ClickHouse:
    """One ClickHouse, with one database for each traffic."""

    def __init__(self, directory: Path) -> None:
        self._session = importlib.import_module("chdb.session").Session(str(directory))

    def load(self, database: str, output: Path, zone: str = "UTC") -> None:
        """Make the recipe's tables, and fill them from the files of a replay."""
        self.run(f"create database {database}", f"use {database}", "drop function if exists day_of")
        tables = (CLICKHOUSE / "tables.sql").read_text()
        assert tables.count("'UTC'") == 1
        self.run(*statements(tables.replace("'UTC'", f"'{zone}'")))
        without_kafka = re.sub(
            r"\n\) engine = Kafka settings[^;]*;",
            ",\n_offset UInt64, _partition UInt32) engine = Null;",
            (CLICKHOUSE / "kafka.sql").read_text(),
        )
        self.run(*statements(without_kafka))
        for table, name in QUEUES.items():
            lines = (output / f"{name}.ndjson").read_text().splitlines()
            records = [
                json.dumps({**json.loads(line), "_offset": number, "_partition": 0})
                for number, line in enumerate(lines)
            ]
            self.run(f"insert into {table}_queue format JSONEachRow " + "\n".join(records))

    def run(self, *texts: str) -> None:
        for text in texts:
            self._session.query(text)

    def rows(self, database: str, query: str) -> list[Row]:
        """What a query answers."""
        self.run(f"use {database}")
        self.run("set output_format_json_quote_64bit_integers = 0")
        answered = str(self._session.query(query.rstrip().rstrip(";"), "JSONEachRow"))
        return [json.loads(line) for line in answered.splitlines()]


def statements(script: str) -> list[str]:
    bare = re.sub(r"--.*", "", script)
    return [statement for statement in bare.split(";") if statement.strip()]


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
