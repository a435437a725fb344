"""What every test may ask for: a real Kafka broker, names of its own, and quiet property tests.

One shared broker a test run, found as docs/testing.md says; a test that needs it and cannot have it fails.
Tests that stop, kill or pause a broker take their own: ``local_broker``.
"""

import contextlib
import os
import re
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from testing.kafka import discovery
from testing.kafka.broker import LocalBroker
from testing.kafka.secured_broker import SecuredBroker, running
from testing.scratch import scratch_directory
from tests.commands import Sessionizer, command_line
from tests.recipes import clickhouse, postgresql

# Other work on the machine must not fail a property for being slow; a failure prints how to repeat it.
hypothesis.settings.register_profile(
    "quiet",
    deadline=None,
    print_blob=True,
    max_examples=int(os.environ.get("SESSIONIZER_TEST_EXAMPLES", "200")),
)
hypothesis.settings.load_profile("quiet")

BROKER_FIXTURES = {"kafka", "local_broker", "kafka_jars", "secured_broker"}


@dataclass(frozen=True)
class Kafka:
    """A running cluster, shared by all tests: begin names of topics and groups with ``topic_prefix``."""

    bootstrap_servers: str


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """The test run's broker."""
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(discovery.found_broker())
        except discovery.NoBrokerError as error:
            pytest.fail(str(error), pytrace=False)
        yield Kafka(bootstrap_servers=address)


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The jars for a ``LocalBroker`` with settings of its own."""
    try:
        return discovery.jars()
    except discovery.NoBrokerError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def secured_broker(kafka_jars: Path) -> Iterator[SecuredBroker]:
    """The test run's broker that asks for logins and rights.

    Begin names of topics, groups and users with ``topic_prefix``, so that no test meets another's rights.
    """
    with scratch_directory("secured") as directory, running(kafka_jars, directory) as broker:
        yield broker


@pytest.fixture
def local_broker(kafka_jars: Path, tmp_path: Path) -> Iterator[LocalBroker]:
    """A started broker of this test alone, to be stopped, killed, paused and restarted at will."""
    with LocalBroker(kafka_jars, tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """A prefix of this test and run alone, legal in names of topics and groups; ends with a dot."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")).strip("-")
    return f"{name[:40]}-{uuid.uuid4().hex[:8]}."


@pytest.fixture
def sessionizer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sessionizer:
    """The command line, without this machine's SESSIONIZER_ variables."""
    return command_line(monkeypatch, capsys)


def pytest_configure() -> None:
    """SIGTERM ends a test run as an interrupt does: brokers stop, and directories go away."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    """Which recipes are tested on this machine: the only tests that depend on one."""
    return [postgresql.described(), clickhouse.described()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a real broker or a browser, so that ``-m`` can leave exactly them out."""
    for item in items:
        if isinstance(item, pytest.Function):
            if BROKER_FIXTURES.intersection(item.fixturenames):
                item.add_marker(pytest.mark.broker)
            if "browser" in item.fixturenames:
                item.add_marker(pytest.mark.browser)
