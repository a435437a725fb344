"""What topics hold and how far they are read, as any client with ``read_committed`` sees it."""

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError


async def read_all(
    bootstrap_servers: str, topic: str, only: int | None = None
) -> dict[int, list[ConsumerRecord]]:
    """Every committed record of the topic, by partition, in order; or of that partition alone."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        known = sorted(await consumer._client._wait_on_metadata(topic))
        numbers = known if only is None else [only]
        partitions = [TopicPartition(topic, number) for number in numbers]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        records: dict[int, list[ConsumerRecord]] = {number: [] for number in numbers}
        for partition in partitions:
            consumer.seek(partition, 0)
        waiting = set(partitions)
        while waiting:
            for partition, batch in (await consumer.getmany(*waiting, timeout_ms=200)).items():
                records[partition.partition] += batch
            waiting = {p for p in waiting if await consumer.position(p) < ends[p]}
        return records
    finally:
        await consumer.stop()


async def committed_offsets(bootstrap_servers: str, group_id: str) -> dict[TopicPartition, int]:
    """The group's committed offsets; none while the brokers have no coordinator for it yet."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(group_id)
        return {partition: int(committed.offset) for partition, committed in offsets.items()}
    except GroupCoordinatorNotAvailableError:
        return {}
    finally:
        await admin.close()


async def end_offsets(bootstrap_servers: str, topic: str, *, committed: bool = False) -> dict[int, int]:
    """The end of each partition: the last stable offset when ``committed``, else the high watermark."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        isolation_level="read_committed" if committed else "read_uncommitted",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        numbers = await consumer._client._wait_on_metadata(topic)
        ends = await consumer.end_offsets([TopicPartition(topic, number) for number in numbers])
        return {partition.partition: int(end) for partition, end in ends.items()}
    finally:
        await consumer.stop()
