"""Offsets as the brokers report them: where a partition begins and ends, what the group has committed.

Decides how long to wait for an answer. Knows a started consumer; nothing of tasks. Invariants: every call
asks a broker, and a failure is a ``TransactionLost``, so the task tries again.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from worker.adapters.kafka.answers import Grants, read_failure
from worker.adapters.kafka.client_internals.consumer import committed_offsets, high_watermark
from worker.model.state import GroupOffset

_ANSWER_S = 10.0


class Offsets:
    """Asks for offsets through one consumer, as a member of its group."""

    def __init__(self, consumer: AIOKafkaConsumer, grants: Grants) -> None:
        self._consumer = consumer
        self._grants = grants

    async def first(self, topic_partition: TopicPartition) -> int:
        """The offset of the oldest record."""
        answer = await self._answered(self._consumer.beginning_offsets([topic_partition]), [topic_partition])
        return int(answer[topic_partition])

    async def end(self, topic_partition: TopicPartition) -> int:
        """The last stable offset."""
        answer = await self._answered(self._consumer.end_offsets([topic_partition]), [topic_partition])
        return int(answer[topic_partition])

    async def log_end(self, topic_partition: TopicPartition) -> int:
        """The high watermark, behind open and aborted transactions too."""
        return int(await self._answered(high_watermark(self._consumer, topic_partition), [topic_partition]))

    async def committed(
        self, topic_partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, GroupOffset]:
        """What the group has committed, where it has."""
        known = await self._answered(committed_offsets(self._consumer, topic_partitions), topic_partitions)
        return {topic_partition: GroupOffset(*committed) for topic_partition, committed in known.items()}

    async def _answered(self, answer: Awaitable[Any], topic_partitions: Sequence[TopicPartition]) -> Any:
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await answer
        except (KafkaError, TimeoutError) as error:
            named = error.args[0] if error.args and isinstance(error.args[0], set) else ()
            topics = sorted(named) or [topic_partition.topic for topic_partition in topic_partitions]
            raise read_failure("read the input's offsets", error, ", ".join(topics), self._grants) from error
