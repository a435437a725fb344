"""What is appended to some topics from now on, read without a group: for who watches.

Decides where reading begins (at the end), and that it goes on by itself when brokers come back. Knows topics
and records, nothing of what is in them. Invariants: only committed records are returned, those of one
partition in order; nothing is written, no offset is committed, so watching changes nothing for anybody.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from worker.model.events import InputRecord

_RETRY_S = 1.0
_WAIT_MS = 500
_ANSWER_WITHIN_S = 10.0
_POLLS_BETWEEN_LOOKS = 60
"""How many polls, of at most ``_WAIT_MS`` each when nothing comes, until partitions are looked for again."""


class TopicTail:
    """Follows topics, which need not exist yet. ``connected``: whether it reads at the moment.

    ``client``: arguments of every client of the cluster. ``check_checksums``: False only for the embedded
    broker, whose transaction markers have none.
    """

    def __init__(
        self, client: Mapping[str, Any], topics: Collection[str], *, check_checksums: bool = True
    ) -> None:
        self._client = client
        self._topics = topics
        self._check_checksums = check_checksums
        self._next: dict[TopicPartition, int] = {}
        self.connected = False

    async def batches(self) -> AsyncIterator[Sequence[InputRecord]]:
        """Batches of records as they come, an empty one where nothing came or ``connected`` has changed.

        Goes on until it is closed; brokers that are away, or refuse, only make it wait. Records that were
        deleted meanwhile are left out.
        """
        while True:
            consumer = AIOKafkaConsumer(
                **self._client,
                auto_offset_reset="latest",
                isolation_level="read_committed",
                enable_auto_commit=False,
                fetch_max_wait_ms=_WAIT_MS,
                check_crcs=self._check_checksums,
            )
            try:
                await consumer.start()
                async for batch in self._read(consumer):
                    yield batch
            except (KafkaError, OSError, TimeoutError):
                self.connected = False
                yield ()
                await asyncio.sleep(_RETRY_S)
            finally:
                self.connected = False
                await consumer.stop()

    async def _read(self, consumer: AIOKafkaConsumer) -> AsyncIterator[Sequence[InputRecord]]:
        polls = 0
        while True:
            if polls % _POLLS_BETWEEN_LOOKS == 0:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    await self._look_for_partitions(consumer)
            polls += 1
            if not self._next:  # no topic exists yet
                await asyncio.sleep(_RETRY_S)
                polls = 0
                continue
            found = await consumer.getmany(timeout_ms=_WAIT_MS)
            yield [record for records in found.values() for record in records]
            for partition, records in found.items():
                self._next[partition] = records[-1].offset + 1

    async def _look_for_partitions(self, consumer: AIOKafkaConsumer) -> None:
        """Assign what there is now: new partitions from their end, others where they were."""
        await consumer.topics()  # asks the brokers
        partitions = {
            TopicPartition(topic, number)
            for topic in self._topics
            for number in consumer.partitions_for_topic(topic) or ()
        }
        if partitions and partitions != consumer.assignment():
            # Ends are asked for here: a position that is looked up later would miss what comes in between.
            ends = await consumer.end_offsets(partitions - self._next.keys())
            self._next = {
                partition: self._next.get(partition, ends.get(partition)) for partition in partitions
            }
            consumer.assign(list(partitions))
            for partition, offset in self._next.items():
                consumer.seek(partition, offset)
        self.connected = bool(partitions)
