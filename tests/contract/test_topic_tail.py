"""What is appended to topics, read without a group, on a real broker: from the end, committed, in order."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from aiokafka import AIOKafkaProducer

from tests.conftest import Kafka
from worker.adapters.kafka import topics as kafka_topics
from worker.adapters.kafka.topic_tail import TopicTail
from worker.config import Config, load, topic_variables
from worker.model.events import InputRecord

WITHIN_S = 60


def configured(kafka: Kafka, prefix: str) -> Config:
    variables = {
        "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "SESSIONIZER_KAFKA_GROUP_ID": f"{prefix}group",
    }
    return load(None, {**variables, **topic_variables(prefix)})


def test_it_reads_committed_records_from_the_end_on(kafka: Kafka, topic_prefix: str) -> None:
    config = configured(kafka, topic_prefix)
    topic = config.topics.enriched

    async def send(*values: bytes, commit: bool = True) -> None:
        name = f"{topic_prefix}{values[0].decode()}"
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, transactional_id=name)
        await producer.start()
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic, value, key=b"d", partition=0)
        await (producer.commit_transaction if commit else producer.abort_transaction)()
        await producer.stop()

    async def main() -> list[bytes | None]:
        await kafka_topics.create(config, partitions=2)
        await send(b"before")
        found: list[bytes | None] = []
        tail = TopicTail({"bootstrap_servers": kafka.bootstrap_servers}, [topic, config.topics.sessions])
        async with asyncio.timeout(WITHIN_S), aclosing(tail.batches()) as batches:
            sent = False
            async for batch in batches:
                found += [record.value for record in batch]
                if tail.connected and not sent:
                    sent = True
                    await send(b"aborted", commit=False)
                    await send(b"1", b"2")
                    await send(b"3")
                if len(found) >= 3:
                    break
        return found

    assert asyncio.run(main()) == [b"1", b"2", b"3"]


def test_topics_may_come_later(kafka: Kafka, topic_prefix: str) -> None:
    config = configured(kafka, topic_prefix)

    async def main() -> None:
        tail = TopicTail({"bootstrap_servers": kafka.bootstrap_servers}, [config.topics.enriched])
        async with asyncio.timeout(WITHIN_S), aclosing(tail.batches()) as batches:
            await anext(batches)
            assert not tail.connected
            await kafka_topics.create(config, partitions=1)
            async for _ in batches:
                if tail.connected:
                    return

    asyncio.run(main())


def test_brokers_that_are_away_are_waited_for() -> None:
    async def main() -> Sequence[InputRecord]:
        tail = TopicTail({"bootstrap_servers": "127.0.0.1:1"}, ["t"])
        async with asyncio.timeout(WITHIN_S), aclosing(tail.batches()) as batches:
            await anext(batches)
            assert not tail.connected
            return await anext(batches)

    assert asyncio.run(main()) == ()
