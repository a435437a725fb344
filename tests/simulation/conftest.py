"""Drops the log lines of simulated workers."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Log events are emitted and then dropped."""
    structlog.configure(processors=[_drop])
    yield
    structlog.reset_defaults()


def _drop(*_: object) -> dict[str, object]:
    raise structlog.DropEvent
