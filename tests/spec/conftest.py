"""What specifications share: a place for a replay, and for a file of options."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.commands import Sessionizer
from tests.configurations import File
from tests.replay_directory import ReplayDirectory, wrapped
from worker.demo.traffic import make_traffic


@pytest.fixture
def replay(sessionizer: Sessionizer, tmp_path: Path) -> ReplayDirectory:
    return ReplayDirectory(sessionizer, tmp_path)


@pytest.fixture(scope="session")
def traffic() -> bytes:
    """5,000 events of the demo, one wrapper a line."""
    records = make_traffic(5_000, seed=3, now_ms=1_772_409_600_000).records
    return b"".join(wrapped(record.value.decode(), record.timestamp_ms) + b"\n" for record in records)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "prod.toml")


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """For tests that set the process's log up: it is afterwards as it was."""
    root, client = logging.getLogger(), logging.getLogger("aiokafka")
    handlers, levels = root.handlers[:], (root.level, client.level)
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    client.setLevel(levels[1])
