"""The output that recipes are run on, and the PostgreSQL that one of them needs.

Without PostgreSQL on the machine its test is not collected; the first lines of a test run say which it is.
"""

from pathlib import Path

import pytest

from tests.recipes import traffic, worked_example
from tests.recipes.postgresql import programs

collect_ignore = [] if programs() else ["test_postgresql.py"]

Outputs = dict[str, Path]


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """What became of each traffic, by its name."""
    lines = {"by hand": worked_example.lines(), "invented": traffic.invented()}
    return {name: traffic.replayed(lines[name], tmp_path_factory.mktemp("recipes")) for name in lines}
