"""What tests of the worker as a process share."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.collector_process import CollectorProcess
from tests.chaos.deployment import Deployment
from tests.conftest import Kafka
from tests.integration.collector_clients import KEY, made, write_keys


@pytest.fixture
def deployment(kafka: Kafka, topic_prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    """Topics, a group and state directories of this test alone; no worker of it outlives the test."""
    with Deployment(kafka.bootstrap_servers, topic_prefix, tmp_path) as running:
        yield running


@pytest.fixture
def collectors() -> Iterator[list[CollectorProcess]]:
    """The collectors of a test; none of them outlives it."""
    started: list[CollectorProcess] = []
    yield started
    for each in started:
        if each.running:
            each.kill()


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """A file with one key, that of a server."""
    path = tmp_path / "keys.toml"
    write_keys(path, servers=KEY)
    return path


@pytest.fixture
def collector(
    deployment: Deployment, collectors: list[CollectorProcess], keys_file: Path, tmp_path: Path
) -> CollectorProcess:
    """A collector before a topic of four partitions, not started yet."""
    asyncio.run(deployment.create_topics(4))
    return made(collectors, deployment.environment, keys_file, tmp_path)
