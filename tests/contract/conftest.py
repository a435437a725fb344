"""What all contracts share: nothing may be left behind, and a broker behind a bad network."""

import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.bad_network import BadNetwork
from tests.kafka.broker import LocalBroker, free_ports


@pytest.fixture(autouse=True)
def no_complaints_of_asyncio(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that left a task or an exception behind: asyncio tells when it collects the garbage."""
    yield
    gc.collect()
    complaints = [
        record.getMessage()
        for record in (*caplog.get_records("call"), *caplog.records)
        if record.name == "asyncio" and record.levelno >= logging.ERROR
    ]
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="session")
def proxied_broker(
    kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalBroker, int]]:
    """A broker that sends its clients to another port; and that port."""
    (port,) = free_ports(1)
    settings = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}
    with LocalBroker(kafka_jars, tmp_path_factory.mktemp("broker"), settings=settings) as broker:
        yield broker, port


@pytest.fixture
def network(proxied_broker: tuple[LocalBroker, int], topic_prefix: str) -> BadNetwork:
    """The way to that broker, which one test may spoil."""
    broker, port = proxied_broker
    return BadNetwork(broker, port, topic_prefix)
