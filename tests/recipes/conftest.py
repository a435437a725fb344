"""The output that recipes are run on, what really was, and the databases that some of them need.

Without PostgreSQL on the machine, or the package chdb, its test is not collected; the first lines of a test
run say which it is.
"""

from pathlib import Path

import pytest

from tests.recipes import clickhouse
from tests.recipes.postgresql import programs
from tests.recipes.traffic import Traffic, replayed, traffics
from tests.recipes.visits import Site

collect_ignore = [
    *([] if programs() else ["test_postgresql.py"]),
    *([] if clickhouse.is_installed() else ["test_clickhouse.py"]),
]


@pytest.fixture(scope="session")
def traffic() -> dict[str, Traffic]:
    """Every traffic by its name."""
    return traffics()


@pytest.fixture(scope="session")
def outputs(traffic: dict[str, Traffic], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the worker made of each."""
    return {name: replayed(one, tmp_path_factory.mktemp("recipes")) for name, one in traffic.items()}


@pytest.fixture(scope="session")
def sites(traffic: dict[str, Traffic]) -> dict[str, Site]:
    """What really was, of each."""
    return {name: one.site() for name, one in traffic.items()}
