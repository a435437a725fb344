"""One idempotent producer of the raw topic, from its first connection to its end.

Decides how the client is set up, what its answers say of the batches that it holds, and when it is closed.
Knows nothing of requests and of stalls. Invariants: it holds at most one batch of a partition; a batch that
was withdrawn before it was written is never written.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from msgspec import Struct

from worker.adapters.kafka.client_internals.cluster_view import ClusterView
from worker.adapters.kafka.client_internals.produce_requests import (
    enqueue_batch,
    guard_sends,
    prepare_for_failure,
)
from worker.adapters.kafka.client_internals.producer import close_producer, look_at_exception, sender_tasks
from worker.adapters.kafka.delivery_outcomes import excludes_storage
from worker.adapters.kafka.raw_batches import RawBatch

_METADATA_MAX_AGE_MS = 10_000
"""A topic that grows is noticed within this time."""
_METADATA_EVERY_S = 0.1
_ASK_AGAIN_S = 0.5
_CLOSE_S = 2.0
_NO_LIMIT = 2**31 - 1


class TopicNotFound(Exception):  # noqa: N818 - brokers answered; what is missing is a human's
    """The brokers name no such topic."""


class ConnectionOptions(Struct, frozen=True, kw_only=True):
    """How the producer of a raw topic is made. ``client``: addresses and security of every client."""

    client: Mapping[str, Any]
    topic: str
    compression: str
    request_timeout_ms: int


class RawConnection:
    """Sends batches and remembers of each whether a broker may have stored it.

    ``is_away``: no broker answered the last question. ``failed``: it lost its place in a partition, so that
    another one must take over.
    """

    def __init__(self, options: ConnectionOptions, changed: Callable[["RawConnection"], None]) -> None:
        """``changed`` is called whenever the cluster was asked."""
        self._options = options
        self._changed = changed
        self._held: dict[int, RawBatch] = {}
        self._asks_again: asyncio.TimerHandle | None = None
        self._closed = False
        self.is_away = False
        self.failed = False
        self._producer = AIOKafkaProducer(
            **options.client,
            acks="all",
            enable_idempotence=True,
            compression_type=None if options.compression == "none" else options.compression,
            request_timeout_ms=options.request_timeout_ms,
            metadata_max_age_ms=_METADATA_MAX_AGE_MS,
            linger_ms=0,
            # Whoever fills the batches limits them, and the broker decides about a single large record.
            max_batch_size=_NO_LIMIT,
            max_request_size=_NO_LIMIT,
        )
        self.cluster = ClusterView(self._producer, options.topic)

    async def open(self) -> None:
        """Connect, become a producer, and find the topic.

        Raises TopicNotFound, TimeoutError or the client's errors; then it must be closed.
        """
        self.cluster.watch(self._asked, _METADATA_EVERY_S)
        guard_sends(self._producer, self)
        prepare_for_failure(self._producer)
        async with asyncio.timeout(2 * self._options.request_timeout_ms / 1000):
            await self._producer.start()
            if not await self.cluster.find_topic():
                raise TopicNotFound

    @property
    def is_idle(self) -> bool:
        """Whether it holds no batch."""
        return not self._held

    def create_batch(self) -> Any:
        """An empty batch, to be filled; any other connection of the same options may send it."""
        return self._producer.create_batch()

    def send(self, batch: RawBatch, partition: int) -> "asyncio.Future[Any]":
        """Queue the batch. Raises KafkaError where this producer has ended; then it was not queued."""
        assert partition not in self._held
        answer = enqueue_batch(self._producer, batch.builder, self._options.topic, partition)
        answer.add_done_callback(look_at_exception)
        self._held[partition] = batch
        return answer

    def release(self, partition: int) -> None:
        """Hold the batch of that partition no more: from now on it is not written."""
        self._held.pop(partition, None)

    def admits(self, partition: int) -> bool:
        """Part of ``SendGuard``: all but withdrawn batches may be written."""
        batch = self._held.get(partition)
        if batch is None:
            return False
        batch.written()
        return True

    def answered(self, partition: int, code: int) -> None:
        """Part of ``SendGuard``."""
        batch = self._held.get(partition)
        if batch is None or not code:
            return
        if excludes_storage(code):
            batch.not_stored(code)
        else:
            batch.maybe_stored(code)

    def unanswered(self, partitions: Collection[int]) -> None:
        """Part of ``SendGuard``."""
        for partition in partitions:
            if (batch := self._held.get(partition)) is not None:
                batch.maybe_stored()

    async def close(self) -> None:
        """Drop the producer and close its connections, within a few seconds; nothing is written after it."""
        self._closed = True
        if self._asks_again is not None:
            self._asks_again.cancel()
        self._held.clear()
        cancelled = sender_tasks(self._producer)
        for task in cancelled:
            task.cancel()
        await close_producer(self._producer, cancelled, _CLOSE_S)

    def _asked(self, answered: bool) -> None:
        self.is_away = not answered
        if self.is_away and not self._closed:
            loop = asyncio.get_running_loop()
            if self._asks_again is not None:
                self._asks_again.cancel()
            self._asks_again = loop.call_later(_ASK_AGAIN_S, self.cluster.ask_again)
        self._changed(self)
