"""A ClickHouse in this process, where the package chdb is installed; and the recipe's tables, filled.

It is no dependency of the project: with what it needs it takes 900 MB on disk. The engine Kafka is not run:
its tables are filled as it would fill them.
"""

import importlib
import json
import re
from importlib.util import find_spec
from pathlib import Path

from tests.recipes.figures import RECIPES_DIRECTORY, Row

CLICKHOUSE = RECIPES_DIRECTORY / "clickhouse"
QUEUES = {"sessions": "sessions", "identities": "identities", "events": "enriched"}
"""Name of a table -> the output file that its queue gets the records of."""


def is_installed() -> bool:
    """Whether there is one."""
    return find_spec("chdb") is not None


def described() -> str:
    """One line about it, for the head of a test run."""
    if is_installed():
        return "recipes: ClickHouse in the package chdb"
    return "recipes: no ClickHouse found, so its recipe is not run (pip install chdb)"


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
