"""What tests of the worker as a process share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.deployment import Deployment
from tests.conftest import Kafka


@pytest.fixture
def deployment(kafka: Kafka, topic_prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    """Topics, a group and state directories of this test alone; no worker of it outlives the test."""
    with Deployment(kafka.bootstrap_servers, topic_prefix, tmp_path) as running:
        yield running
