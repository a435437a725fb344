"""What the brokers say of offsets: where a partition begins and ends, and what the group has committed.

Decides how long an answer is waited for. Knows a started consumer. Invariant: every answer is asked for anew,
and a failure is a ``TransactionLost``: the task tries again.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, LeaderNotAvailableError, for_code
from aiokafka.protocol.offset import OffsetRequest

from worker.adapters.kafka.answers import Grants, lost_reading
from worker.model.state import GroupOffset

_ANSWER_S = 10.0
_READ_UNCOMMITTED = 0
_LATEST = -1


class Offsets:
    """Asks through one consumer, as a member of its group."""

    def __init__(self, consumer: AIOKafkaConsumer, grants: Grants) -> None:
        self._consumer = consumer
        self._grants = grants

    async def first(self, topic_partition: TopicPartition) -> int:
        """That of the oldest record."""
        answer = await self._answered(self._consumer.beginning_offsets([topic_partition]), [topic_partition])
        return int(answer[topic_partition])

    async def end(self, topic_partition: TopicPartition) -> int:
        """The last stable offset."""
        answer = await self._answered(self._consumer.end_offsets([topic_partition]), [topic_partition])
        return int(answer[topic_partition])

    async def log_end(self, topic_partition: TopicPartition) -> int:
        """The high watermark: also behind records of transactions that are open or were aborted."""
        return int(await self._answered(self._high_watermark(topic_partition), [topic_partition]))

    async def _high_watermark(self, topic_partition: TopicPartition) -> int:
        # The consumer's own ``end_offsets`` asks with its isolation level, and is told the last stable one.
        client = self._consumer._client
        topic, partition = topic_partition
        leader = client.cluster.leader_for_partition(topic_partition)
        if leader in (None, -1):
            client.force_metadata_update()
            raise LeaderNotAvailableError(f"{topic}/{partition}")
        answer = await client.send(
            leader, OffsetRequest(-1, _READ_UNCOMMITTED, [(topic, [(partition, _LATEST)])])
        )
        ((_, ((_, error_code, _, offset),)),) = answer.topics
        if error_code:
            raise for_code(error_code)(f"{topic}/{partition}")
        return int(offset)

    async def committed(
        self, topic_partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, GroupOffset]:
        """What the group has committed, where it has."""
        # The consumer's own ``committed`` tells no metadata.
        asked = self._consumer._coordinator.fetch_committed_offsets(topic_partitions)
        answer = await self._answered(asked, topic_partitions)
        return {
            topic_partition: GroupOffset(int(known.offset), known.metadata)
            for topic_partition, known in answer.items()
        }

    async def _answered(self, answer: Awaitable[Any], asked: Sequence[TopicPartition]) -> Any:
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await answer
        except (KafkaError, TimeoutError) as error:
            named = error.args[0] if error.args and isinstance(error.args[0], set) else ()
            topics = sorted(named) or [topic_partition.topic for topic_partition in asked]
            raise lost_reading("read the input's offsets", error, ", ".join(topics), self._grants) from error
