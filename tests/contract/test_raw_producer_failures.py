"""The raw producer after what ends a producer or a topic: it says what became of its batches, and goes on."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions

from testing.kafka.broker import LocalBroker
from testing.kafka.quotas import set_quotas
from testing.wait import eventually
from tests.conftest import Kafka
from tests.contract.cluster import admin, make_topics, visible
from tests.contract.raw_sender import (
    Journal,
    becomes_ready,
    becomes_stalled,
    configuration,
    producing,
    record,
)
from tests.contract.raw_topic import Raw
from worker.adapters.kafka.raw_producer import KafkaRawProducer
from worker.config.options import Collect


def client_of(producer: KafkaRawProducer) -> AIOKafkaProducer:
    """The client's producer that is in use."""
    connection = producer._connections.current
    assert connection is not None
    return connection._producer


def test_a_hole_in_the_sequence_is_answered_and_another_producer_goes_on(raw_of_two: Raw) -> None:
    """OutOfOrderSequence, which no retry heals: as after an acknowledged batch was lost by the brokers."""
    journal = Journal()

    async def scenario() -> None:
        async with producing(configuration(raw_of_two.servers, raw_of_two.topic), partitions=2) as producer:
            assert await journal.send(producer, record(b"before"), record(b"other", 1)) == ["stored"] * 2
            numbers = client_of(producer)._txn_manager._sequence_numbers
            for topic_partition in [*numbers]:
                numbers[topic_partition] += 7 if topic_partition.partition == 0 else 0
            assert await journal.send(producer, record(b"refused")) == ["not_sent"]
            await becomes_ready(producer, 0, 1)
            assert await journal.send(producer, record(b"after"), record(b"other after", 1)) == ["stored"] * 2
            assert producer.problem() is None
        await journal.check(raw_of_two.servers, raw_of_two.topic, 2)

    asyncio.run(scenario())


def test_a_producer_that_ended_is_replaced(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its background task failed: whatever it held is answered, and nothing waits for it."""
    journal = Journal()

    async def scenario() -> None:
        async with producing(configuration(raw.servers, raw.topic), partitions=1) as producer:
            assert await journal.send(producer, record(b"before")) == ["stored"]

            def fail(*_: object, **__: object) -> None:
                raise RuntimeError("as by a bug of the client")

            monkeypatch.setattr(client_of(producer)._message_accumulator, "drain_by_nodes", fail)
            deliveries = await journal.send(producer, record(b"held"))
            assert deliveries in (["not_sent"], ["stored"])  # the next producer may have it
            await becomes_ready(producer, 0)
            assert await journal.send(producer, record(b"after")) == ["stored"]
        await journal.check(raw.servers, raw.topic, 1)

    asyncio.run(scenario())


def test_partitions_that_are_added_are_noticed(raw: Raw) -> None:
    async def scenario() -> None:
        async with producing(configuration(raw.servers, raw.topic), partitions=1) as producer:
            async with admin(raw.servers) as client:
                await client.create_partitions({raw.topic: NewPartitions(3)})
            await becomes_ready(producer, 0, 1, 2)
            assert producer.partitions() == 3
            assert await producer.send([record(b"%d" % n, n) for n in range(3)]) == ["stored"] * 3

    asyncio.run(scenario())


def test_a_topic_that_was_deleted_stalls_until_it_is_recreated(raw_of_two: Raw) -> None:
    journal = Journal()
    servers, topic = raw_of_two.servers, raw_of_two.topic

    async def scenario() -> None:
        async with producing(configuration(servers, topic), partitions=2) as producer:
            assert await producer.send([record(b"gone")]) == ["stored"]
            async with admin(servers) as client:
                await client.delete_topics([topic])

                async def is_named() -> bool:
                    assert await producer.send([record(b"nowhere")]) != ["rejected"]
                    return f"{topic} does not exist, or may not be seen" in str(producer.problem())

                await eventually(is_named, what="the missing topic is named", timeout_s=60)
                await becomes_stalled(producer, 0, 1)
                assert await producer.send([record(b"nowhere")]) == ["not_sent"]
            await make_topics(servers, topic, partitions=3)
            await becomes_ready(producer, 0, 1, 2)
            assert producer.partitions() == 3

            async def are_stored() -> bool:
                names = [b"%d %d" % (len(journal.answered), n) for n in range(3)]
                deliveries = await journal.send(producer, *(record(name, n) for n, name in enumerate(names)))
                return deliveries == ["stored"] * 3

            await eventually(are_stored, what="all partitions of the new topic store")
            assert producer.problem() is None
        await journal.check(servers, topic, 3)

    asyncio.run(scenario())


def test_a_quota_slows_down_and_falsifies_nothing(local_broker: LocalBroker) -> None:
    """Brokers make a client wait that is over its quota, longer and longer: batches stall."""
    servers, journal = local_broker.bootstrap_servers, Journal()
    collect = Collect(stall_ms=500, ack_timeout_ms=2_000)

    async def scenario() -> None:
        await make_topics(servers, "raw", partitions=2)
        await set_quotas(servers, "ANONYMOUS", {"producer_byte_rate": 20_000})
        async with producing(configuration(servers, "raw", collect), partitions=2) as producer:
            async with journal.load(producer, 2, value_bytes=2_000):
                await becomes_stalled(producer, 0, 1)
                async with journal.load(producer, 2):  # the others all wait for the batch that stalls
                    await journal.become("not_sent", 100)
                await set_quotas(servers, "ANONYMOUS", {"producer_byte_rate": None})
                await becomes_ready(producer, 0, 1)
                await journal.become("stored", 200)
            await becomes_ready(producer, 0, 1)
            assert producer.problem() is None
        await journal.check(servers, "raw", 2)

    asyncio.run(scenario())


def test_an_answer_for_each_record_that_the_topic_refuses(kafka: Kafka, topic_prefix: str) -> None:
    """The times of records are not a sender's fault: they may be sent again, and the option is named."""
    topic = topic_prefix + "raw"

    async def scenario() -> None:
        await make_topics(kafka.bootstrap_servers, topic, configs={"message.timestamp.after.max.ms": "1000"})
        async with producing(configuration(kafka.bootstrap_servers, topic), partitions=1) as producer:
            ahead = record(b"ahead", timestamp_ms=record(b"").timestamp_ms + 86_400_000)
            assert await producer.send([ahead]) == ["not_sent"]
            assert "message.timestamp.before.max.ms and after.max.ms" in str(producer.problem())
            await becomes_ready(producer, 0)
            assert await producer.send([record(b"after")]) == ["stored"]
            assert producer.problem() is None
        assert [value for _, value in await visible(kafka.bootstrap_servers, topic)] == [b"after"]

    asyncio.run(scenario())
