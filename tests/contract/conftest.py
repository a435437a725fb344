"""What contracts share: nothing may be left behind, raw topics, and a broker behind a bad network."""

import asyncio
import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.kafka.broker import LocalBroker, free_ports
from tests.conftest import Kafka
from tests.contract.bad_network import BadNetwork
from tests.contract.cluster import make_topics
from tests.contract.place import Place
from tests.contract.raw_topic import Raw
from tests.native_parts import WITHOUT, Reader
from worker.adapters.kafka.records import FetchedRecords
from worker.native.parts import NativeParts


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


@pytest.fixture(scope="module")
def proxied_broker(
    kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalBroker, int]]:
    """A broker that sends its clients to another port; and that port.

    For one file: nobody listens there between tests, and the broker, which goes the same way to itself with
    what is left of a transaction, tries without a pause. That is half a core.
    """
    (port,) = free_ports(1)
    settings = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}
    with LocalBroker(kafka_jars, tmp_path_factory.mktemp("broker"), settings=settings) as broker:
        yield broker, port


@pytest.fixture
def network(proxied_broker: tuple[LocalBroker, int], topic_prefix: str) -> BadNetwork:
    """The way to that broker, which one test may spoil."""
    broker, port = proxied_broker
    return BadNetwork(broker, port, topic_prefix)


@pytest.fixture
def records() -> Reader:
    """What makes records of what is fetched; where both ways are tried, a file has its own."""
    return FetchedRecords


@pytest.fixture
def native() -> NativeParts:
    """What puts batches together; the same."""
    return WITHOUT


@pytest.fixture
def raw(kafka: Kafka, topic_prefix: str, records: Reader) -> Raw:
    """An empty raw topic of one partition."""
    raw = Raw(kafka.bootstrap_servers, topic_prefix, records=records)
    asyncio.run(make_topics(raw.servers, raw.topic))
    return raw


@pytest.fixture
def raw_of_two(kafka: Kafka, topic_prefix: str) -> Raw:
    """The same with two partitions."""
    raw = Raw(kafka.bootstrap_servers, topic_prefix)
    asyncio.run(make_topics(raw.servers, raw.topic, partitions=2))
    return raw


@pytest.fixture
def place(kafka: Kafka, topic_prefix: str, native: NativeParts) -> Place:
    """The topics of one test."""
    place = Place(kafka.bootstrap_servers, topic_prefix, native)
    asyncio.run(place.make_topics())
    return place
