"""What a broker shows to everybody: its topics, their committed records, a group's offsets.

Reads and writes with plain clients, never with the adapters under test. Invariant: ``visible`` shows what
any ``read_committed`` reader sees, up to the last stable offset.
"""

from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from testing.wait import eventually

Record = tuple[bytes | None, bytes | None]


@asynccontextmanager
async def admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administrator's client."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def make_topics(
    bootstrap_servers: str, *names: str, partitions: int = 1, configs: Mapping[str, str] | None = None
) -> None:
    """Make the topics, each with these settings."""
    topics = [NewTopic(name, partitions, 1, topic_configs=dict(configs or {})) for name in names]
    async with admin(bootstrap_servers) as client:
        response = await client.create_topics(topics)
    assert all(code == 0 for _, code, _ in response.topic_errors), response


async def delete_records(bootstrap_servers: str, topic: str, before_offset: int) -> None:
    """Delete the records of partition 0 below that offset."""
    async with admin(bootstrap_servers) as client:
        await client.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset)})


@asynccontextmanager
async def reader(
    bootstrap_servers: str, topic: str, group_id: str | None = None, number: int = 0
) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
    """A ``read_committed`` consumer of one partition, at its beginning, and that partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        isolation_level="read_committed",
        group_id=group_id,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        partition = TopicPartition(topic, number)
        consumer.assign([partition])
        consumer.seek(partition, 0)
        yield consumer, partition
    finally:
        await consumer.stop()


async def visible(bootstrap_servers: str, topic: str) -> list[Record]:
    """The (key, value)s of partition 0 that a reader of committed records sees at the moment."""
    return [(record.key, record.value) for record in await visible_records(bootstrap_servers, topic)]


async def visible_records(bootstrap_servers: str, topic: str, number: int = 0) -> list[ConsumerRecord]:
    """What a reader of committed records sees in one partition at the moment, as the client gives it."""
    async with reader(bootstrap_servers, topic, number=number) as (consumer, partition):
        end = (await consumer.end_offsets([partition]))[partition]
        records: list[ConsumerRecord] = []
        while await consumer.position(partition) < end:
            records += (await consumer.getmany(partition, timeout_ms=200)).get(partition, [])
        return records


async def committed_offset(bootstrap_servers: str, topic: str, group_id: str) -> int | None:
    """The group's offset of partition 0."""
    async with reader(bootstrap_servers, topic, group_id) as (consumer, partition):
        offset: int | None = await consumer.committed(partition)
        return offset


async def ends(bootstrap_servers: str, topic: str, number: int = 0) -> tuple[int, int]:
    """(last stable offset, end of the log) of one partition."""
    found = []
    for isolation_level in ("read_committed", "read_uncommitted"):
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, isolation_level=isolation_level)
        await consumer.start()
        try:
            found += (await consumer.end_offsets([TopicPartition(topic, number)])).values()
        finally:
            await consumer.stop()
    return found[0], found[1]


async def is_settled(bootstrap_servers: str, topic: str, number: int = 0) -> bool:
    """Whether no transaction is open in that partition."""
    stable, end = await ends(bootstrap_servers, topic, number)
    return stable == end


async def write(
    bootstrap_servers: str,
    topic: str,
    values: Sequence[bytes],
    *,
    partition: int = 0,
    times_ms: Sequence[int | None] | None = None,
    key: bytes | None = None,
) -> None:
    """Append the values, with their timestamps if they have some."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    await producer.start()
    try:
        await acknowledged(
            [
                await producer.send(topic, value, key, partition=partition, timestamp_ms=time_ms)
                for value, time_ms in zip(values, times_ms or [None] * len(values), strict=True)
            ]
        )
    finally:
        await producer.stop()


async def acknowledged(sent: Iterable[Awaitable[object]]) -> None:
    """Wait until the broker has all records. Raises what it refused the first one with."""
    for each in sent:
        await each


async def write_in_transaction(
    bootstrap_servers: str, topic: str, values: Sequence[bytes], transactional_id: str, *, abort: bool = False
) -> None:
    """Append the values to partition 0 in one transaction, commit or abort it, and wait for its end."""
    async with writing_in_transaction(bootstrap_servers, transactional_id) as producer:
        await acknowledged([await producer.send(topic, value, partition=0) for value in values])
        await (producer.abort_transaction() if abort else producer.commit_transaction())
    await eventually(lambda: is_settled(bootstrap_servers, topic), what="the transaction has ended")


@asynccontextmanager
async def writing_in_transaction(
    bootstrap_servers: str, transactional_id: str
) -> AsyncIterator[AIOKafkaProducer]:
    """A producer whose transaction is open; the caller ends it."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, transactional_id=transactional_id)
    await producer.start()
    try:
        await producer.begin_transaction()
        yield producer
    finally:
        await producer.stop()
