"""How a producer's batches become requests, and which of them reach a broker.

Decides nothing: which batch may be written, and what an answer means, is its caller's. Knows nothing of
requests of others. Invariant: a partition that the guard admitted is written, or counts as written; one that
it did not admit never is.
"""

import asyncio
from collections.abc import Collection
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, NodeNotReadyError
from aiokafka.protocol.produce import ProduceRequest

from worker.adapters.kafka.client_internals.protocol import error_codes_of_partitions


class BatchWithdrawn(KafkaError):  # type: ignore[misc]  # noqa: N818 - not a failure
    """No batch of the request may be written any more. The client does not try again.

    Held by test_raw_producer_outages.py.
    """


class SendGuard(Protocol):
    """Is asked before each batch is written, and informed of what came of it. One batch a partition.

    Held by test_raw_producer_outages.py.
    """

    def admits(self, partition: int) -> bool:
        """Whether the batch may be written now; if so, it is."""
        ...

    def answered(self, partition: int, code: int) -> None:
        """The broker answered with this error code; 0 is none."""
        ...

    def unanswered(self, partitions: Collection[int]) -> None:
        """No answer will come to what was written."""
        ...


def enqueue_batch(
    producer: AIOKafkaProducer, batch: Any, topic: str, partition: int
) -> "asyncio.Future[Any]":
    """Queue a filled batch; its future has the metadata, or the error. Raises what ended the producer.

    The public ``send_batch`` is a coroutine, a task for each batch, and shields the future from the caller.
    Held by test_raw_producer.py.
    """
    accumulator = producer._message_accumulator
    if accumulator._exception is not None:
        raise KafkaError(str(accumulator._exception)) from accumulator._exception
    answer: asyncio.Future[Any] = accumulator._append_batch(batch, TopicPartition(topic, partition)).future
    return answer


def prepare_for_failure(producer: AIOKafkaProducer) -> None:
    """Give the producer what it looks for when its background task fails.

    Without transactions it has no such future, and fails once more, with another error. Held by
    test_raw_producer_failures.py.
    """
    producer._txn_manager._transaction_waiter = asyncio.get_running_loop().create_future()


def guard_sends(producer: AIOKafkaProducer, guard: SendGuard) -> None:
    """Let ``guard`` decide about each batch of each request, at the moment at which it is written.

    The client does not report whether it has ever written a batch, and cannot take one back. Held by
    test_raw_producer_outages.py.
    """
    client = producer.client
    send = client.send

    async def guarded_send(node_id: Any, request: Any, **options: Any) -> Any:
        if not isinstance(request, ProduceRequest):
            return await send(node_id, request, **options)
        if not await client.ready(node_id):
            raise NodeNotReadyError(f"node {node_id} is not ready")
        # Connected: nothing else runs between here and the write.
        ((topic, parts),) = request._topics
        parts = [part for part in parts if guard.admits(part[0])]
        if not parts:
            raise BatchWithdrawn("withdrawn before it was written")
        request._topics = [(topic, parts)]
        written = [part[0] for part in parts]
        try:
            response = await send(node_id, request, **options)
        except BaseException:
            guard.unanswered(written)
            raise
        for partition, code in error_codes_of_partitions(response):
            guard.answered(partition, code)
        return response

    client.send = guarded_send
