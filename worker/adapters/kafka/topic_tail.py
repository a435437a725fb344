"""What is appended to some topics from now on, read without a group: for who watches.

Decides where reading begins (at the end), and that it goes on by itself when brokers come back. Knows topics
and records, nothing of what is in them. Invariants: only committed records are returned, those of one
partition in order; nothing is written, no offset is committed, so watching changes nothing for anybody.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from worker.model.events import InputRecord

_RETRY_S = 1.0
_WAIT_MS = 500
_FETCH_WAIT_MS = 100
"""The embedded broker answers a fetch only after this, also where something came meanwhile."""
_ANSWER_WITHIN_S = 5.0
_IDLE_POLLS = 10
_METADATA_MS = 30_000
"""How often new topics and partitions are looked for."""


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
        self.connected = False

    async def batches(self) -> AsyncGenerator[Sequence[InputRecord], None]:
        """Batches of records as they come, an empty one where nothing came or ``connected`` has changed.

        Goes on until it is closed; brokers that are away, or refuse, only make it wait. After they were away
        it begins at the end again.
        """
        while True:
            consumer = AIOKafkaConsumer(
                *self._topics,
                **self._client,
                auto_offset_reset="earliest",  # of partitions that are added: all others begin at their end
                isolation_level="read_committed",
                enable_auto_commit=False,
                fetch_max_wait_ms=_FETCH_WAIT_MS,
                metadata_max_age_ms=_METADATA_MS,
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

    async def _read(self, consumer: AIOKafkaConsumer) -> AsyncGenerator[Sequence[InputRecord], None]:
        # A position that is looked up later would miss what comes in between.
        for partition, offset in (await self._ends(consumer)).items():
            consumer.seek(partition, offset)
        idle_polls = 0
        while True:
            if (
                idle_polls % _IDLE_POLLS == 0
            ):  # nothing came, and the client would not say that brokers are away
                self.connected = await self._is_answered(consumer)
                yield ()
            found = await consumer.getmany(timeout_ms=_WAIT_MS)
            idle_polls += 1
            if found:
                self.connected, idle_polls = True, 1
                yield [record for records in found.values() for record in records]

    async def _is_answered(self, consumer: AIOKafkaConsumer) -> bool:
        """Whether the brokers answer, and a topic exists."""
        try:
            return bool(await self._ends(consumer))
        except (KafkaError, OSError, TimeoutError):
            return False

    async def _ends(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            ends: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
        return ends
