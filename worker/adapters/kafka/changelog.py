"""Reads one changelog partition, read_committed, for a restore.

Decides how long to wait for brokers, and when a changelog is gone. Its consumer has no group; it is made when
first needed and closed after the restore. Knows nothing of what the records mean. Invariant: ``next_offset``
grows with every ``read`` that the broker answers, past transaction markers and aborted records too.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, UnknownTopicOrPartitionError

from worker.adapters.kafka.answers import grants_of, read_failure
from worker.adapters.kafka.client_internals.consumer import metadata_reported_ms, wait_for_partitions
from worker.adapters.kafka.records import UNREADABLE_TIMES, UnreadableError
from worker.errors import Fatal, TransactionLost
from worker.ports import ChangelogBatch

_RECORDS_A_READ = 500  # one read holds up the transactions of other partitions
_ANSWER_S = 20.0
_NAMED_S = 5.0
"""A topic that brokers have not named for so long, while they named others, does not exist."""
_READ_WAIT_MS = (
    100  # not longer: an aborted tail, as after every loss, brings no record that would end the wait
)
_STOP_S = 2.0


class KafkaChangelog:
    """Implements ``ports.Changelog`` for one partition."""

    def __init__(self, *, client: Mapping[str, Any], topic: str, partition: int, fetch_bytes: int) -> None:
        """``fetch_bytes``: the most that one fetch may bring."""
        self._client = dict(client)
        self._partition = TopicPartition(topic, partition)
        self._fetch_bytes = fetch_bytes
        self._consumer: AIOKafkaConsumer | None = None
        self._no_progress_since: float | None = None
        self._unreadable_times: Counter[int] = Counter()  # by offset

    async def bounds(self) -> tuple[int, int]:
        """(first offset, last stable offset)."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                consumer = await self._started()
                known = await self._known_partitions(consumer)
                # Not the high watermark: with read_committed the broker answers the last stable offset
                # (KIP-98).
                if self._partition.partition in known:
                    first = await consumer.beginning_offsets([self._partition])
                    end = await consumer.end_offsets([self._partition])
        except (KafkaError, TimeoutError, OSError) as error:
            await self.close()
            raise read_failure(
                "read the changelog's bounds", error, self._partition.topic, grants_of(self._client)
            ) from error
        if self._partition.partition not in known:
            raise Fatal(
                f"partition {self._partition.partition}: the changelog {self._partition.topic} has only "
                f"{len(known)}: partitions were added to the raw topic. To grow, replay into a new group "
                "(docs/operations.md, More partitions)"
            )
        return first[self._partition], end[self._partition]

    async def read(self, offset: int) -> ChangelogBatch:
        """The next committed records from ``offset`` on."""
        try:
            consumer = await self._started()
            if await consumer.position(self._partition) != offset:
                consumer.seek(self._partition, offset)
            batches = await consumer.getmany(
                self._partition, timeout_ms=_READ_WAIT_MS, max_records=_RECORDS_A_READ
            )
            records = batches.get(self._partition, [])
            position = await consumer.position(self._partition)
        except UnreadableError as error:
            await self.close()
            self._unreadable_times[error.offset] += 1
            if self._unreadable_times[error.offset] < UNREADABLE_TIMES:
                raise TransactionLost(f"read the changelog: {error}") from error
            raise Fatal(
                f"{error} ({UNREADABLE_TIMES} times). Where another replica is whole, let it lead; else this "
                "partition's state is lost: start a new group (kafka.group_id), which builds it again from "
                "the raw topic"
            ) from error
        except OffsetOutOfRangeError as error:
            raise Fatal(
                f"changelog {self._partition.topic}/{self._partition.partition}: offset {offset} was "
                "deleted while it was being restored: a changelog must be compacted only "
                "(cleanup.policy=compact)"
            ) from error
        except (KafkaError, OSError) as error:
            await self.close()
            raise read_failure(
                "read the changelog", error, self._partition.topic, grants_of(self._client)
            ) from error
        if position == offset:
            await self._reject_no_progress()
        else:
            self._no_progress_since = None
        return ChangelogBatch(
            records=[(record.key, record.value) for record in records],
            records_end=records[-1].offset + 1 if records else offset,
            next_offset=position,
        )

    async def close(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        self._no_progress_since = None
        if consumer is not None:
            # The client's stop can hang while brokers are away (aiokafka #773).
            await asyncio.wait([asyncio.ensure_future(consumer.stop())], timeout=_STOP_S)

    async def _known_partitions(self, consumer: AIOKafkaConsumer) -> Collection[int]:
        """The numbers of the topic's partitions. Raises TransactionLost, refused, where it does not exist."""
        topic = self._partition.topic
        try:
            async with asyncio.timeout(_NAMED_S):
                return await wait_for_partitions(consumer, topic)
        except (TimeoutError, UnknownTopicOrPartitionError) as error:
            age_s = time.time() - metadata_reported_ms(consumer) / 1000
            if age_s > _NAMED_S or consumer.partitions_for_topic(topic):
                raise
            await self.close()
            raise TransactionLost(
                f"read the changelog: there is no such topic {topic}", refused=True, missing_topic=topic
            ) from error

    async def _reject_no_progress(self) -> None:
        """Raise TransactionLost where nothing has come for too long: the client retries for ever."""
        now_s = asyncio.get_running_loop().time()
        self._no_progress_since = self._no_progress_since or now_s
        if now_s - self._no_progress_since > _ANSWER_S:
            await self.close()
            raise TransactionLost(f"read the changelog: nothing came for {_ANSWER_S:.0f} s")

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **self._client,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                max_partition_fetch_bytes=self._fetch_bytes,
                fetch_max_bytes=self._fetch_bytes,
            )
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            consumer.assign([self._partition])
            consumer.seek(self._partition, 0)
            self._consumer = consumer
        return self._consumer
