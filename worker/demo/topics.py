"""The demo's own Kafka clients: one writes the traffic to the raw topic, one reads topics back.

Knows topics and records, not what is in them, and nothing of the worker. The invariant: it reads what any
``read_committed`` reader would see.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from worker.demo.traffic import RawRecord
from worker.model.events import InputRecord

BATCH_BYTES = 512 * 1024  # few and large: the embedded broker returns one batch of a partition for each fetch


async def feed(client: Mapping[str, Any], topic: str, records: Sequence[RawRecord]) -> AsyncIterator[int]:
    """Send the records in order, partitioned by key as Java's client does; yields how many were sent so far.

    ``client``: arguments of every client of the cluster: addresses and login. When it is exhausted the broker
    has acknowledged all of them. Raises the client's errors.
    """
    producer = AIOKafkaProducer(**client, acks="all", compression_type="zstd", max_batch_size=BATCH_BYTES)
    await producer.start()
    try:
        partitions = sorted(await producer.partitions_for(topic))
        partition_of = DefaultPartitioner()
        batches = {partition: producer.create_batch() for partition in partitions}
        acknowledgements = []
        for sent, record in enumerate(records):
            partition = partition_of(record.key, partitions, partitions)
            fields = {"key": record.key, "value": record.value, "timestamp": record.timestamp_ms}
            if batches[partition].append(**fields) is None:  # it is full
                full = batches[partition]
                acknowledgements.append(await producer.send_batch(full, topic, partition=partition))
                batches[partition] = producer.create_batch()
                batches[partition].append(**fields)
                yield sent
        for partition, batch in batches.items():
            if batch.record_count():
                acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
        for acknowledgement in acknowledgements:
            await acknowledgement
        yield len(records)
    finally:
        await producer.stop()


class TopicReader:
    """Reads whole topics from their beginning, without a group. ``records``: those read so far, by topic."""

    def __init__(self, consumer: AIOKafkaConsumer, topics: Iterable[str]) -> None:
        self._consumer = consumer
        self.records: dict[str, list[InputRecord]] = {topic: [] for topic in topics}

    async def poll(self, *, wait_ms: int) -> int:
        """Read what there is, waiting up to ``wait_ms`` for the first. Returns the number of records."""
        found = await self._consumer.getmany(timeout_ms=wait_ms)
        for partition, records in found.items():
            self.records[partition.topic].extend(records)
        return sum(map(len, found.values()))

    async def read_to_end(self) -> None:
        """Read up to what is the end of the topics now."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        for partition, end in ends.items():
            # By position, not by records: the last thing in a topic may be a transaction's marker.
            while await self._consumer.position(partition) < end:
                await self.poll(wait_ms=100)


@asynccontextmanager
async def reading(
    client: Mapping[str, Any], topics: Collection[str], *, check_checksums: bool
) -> AsyncIterator[TopicReader]:
    """A reader of these topics, which must exist, within the block."""
    consumer = AIOKafkaConsumer(
        *topics,
        **client,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
        check_crcs=check_checksums,
    )
    await consumer.start()
    try:
        yield TopicReader(consumer, topics)
    finally:
        await consumer.stop()
