"""How a producer fills batches, sends them, and is closed.

Decides nothing: what an answer or a failure means is its caller's. Knows nothing of transactions and their
outcome. Invariant: what is put into a batch, and what the client sends, is what its public methods would.
"""

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode

from worker.model.outputs import OutputRecord
from worker.model.repartition import Headers

if TYPE_CHECKING:
    from sessionizer_native import Batch

TRANSACTIONAL = 0x10
CODECS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "gzip": (1, gzip_encode),
    "snappy": (2, snappy_encode),
    "lz4": (3, lz4_encode),
    "zstd": (4, zstd_encode),
}
"""Name of a compression -> its number in a batch's attributes, and what compresses."""


def append_records(batch: Any, records: Iterable[OutputRecord], headers: Iterable[Headers]) -> int:
    """Append records with their headers to an empty batch, as many as fit; how many.

    The first may have any size. What is in the batch is what its own ``append`` would have put there. The
    batch's public ``append`` wraps each record: 0.2 of its 0.33 us (2026-11-24). Held by test_transaction.py.
    """
    append = batch._builder.append
    count = 0
    for (key, value, timestamp_ms), own_headers in zip(records, headers, strict=False):
        if append(count, timestamp_ms, key, value, own_headers) is None:
            break
        count += 1
    batch._relative_offset = count
    return count


class NativeBatch:
    """A batch that the native library has filled, as the client's sender and accumulator ask it.

    The client offers no other way to send bytes that were put together elsewhere: it takes whatever has the
    methods of its ``BatchBuilder``. Codecs are the client's own. Held by test_transaction.py.
    """

    def __init__(
        self,
        filled: "Batch",
        compression: str,
        failed: Callable[[Exception], Exception],
        *,
        is_transactional: bool,
    ) -> None:
        """``failed``: the exception to raise where the library raised that one."""
        self._filled = filled
        self._compression = compression
        self._failed = failed
        self._attributes = TRANSACTIONAL if is_transactional else 0
        self._producer = (-1, -1, 0)
        self._built: bytes | None = None

    def record_count(self) -> int:
        """The number of records in it."""
        return len(self._filled)

    def size(self) -> int:
        """Its size in bytes; before it is built, that of what will be compressed."""
        return self._filled.size_bytes if self._built is None else len(self._built)

    def close(self) -> None:
        """Nothing: it is full."""

    def closed(self) -> bool:
        """Always: nothing can be added."""
        return True

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        if self._built is None:
            self._built = self._build_once()
        return self._built

    def _build_once(self) -> bytes:
        try:
            if self._compression == "none":
                return self._filled.build(self._producer, self._attributes)
            number, encode = CODECS[self._compression]
            packed = encode(self._filled.records())
            return self._filled.build(self._producer, self._attributes | number, packed)
        except Exception as error:
            raise self._failed(error) from error


def watch_answers(
    producer: AIOKafkaProducer,
    answered: Callable[[Any], None],
    failed: Callable[[Any, BaseException], None],
) -> None:
    """Call ``answered`` with every answer to the producer, ``failed`` with a request that got none and why.

    The client tries again unseen, and keeps errors to itself. Held by test_refused_answers.py and
    test_transaction_on_a_bad_network.py.
    """
    send = producer.client.send

    async def watched_send(node_id: Any, request: Any, **options: Any) -> Any:
        try:
            response = await send(node_id, request, **options)
        except BaseException as error:
            failed(request, error)
            raise
        if response is not None:
            answered(response)
        return response

    producer.client.send = watched_send


def knows_topic(producer: AIOKafkaProducer, topic: str) -> bool:
    """Whether the last metadata names the topic.

    The public ``partitions_for`` asks the brokers, and waits. Held by test_refused_answers.py.
    """
    return bool(producer.client.cluster.partitions_for_topic(topic))


def sender_failure(producer: AIOKafkaProducer) -> BaseException | None:
    """What ended the producer's background task, which then fails everything; None while it runs.

    Whoever calls the producer then sees another error, or a bare AssertionError. Held by
    test_transaction_failures.py.
    """
    sender = producer._sender.sender_task
    ended = sender is not None and sender.done() and not sender.cancelled()
    return sender.exception() if ended else None


def sender_tasks(producer: AIOKafkaProducer) -> "set[asyncio.Task[Any]]":
    """The producer's background task and its requests under way.

    The public ``stop`` cancels the one and waits for the others, which retry, or wait for news of the cluster
    that nobody asks for any more, for ever. The client keeps no list of them: they are the tasks whose
    coroutine is a method of its sender. Held by test_transaction_failures.py.
    """
    sender = producer._sender
    return {
        task
        for task in asyncio.all_tasks()
        if inspect.getcoroutinelocals(task.get_coro()).get("self") is sender  # type: ignore[arg-type]
    }


async def close_producer(
    producer: AIOKafkaProducer, cancelled: "set[asyncio.Task[Any]]", within_s: float
) -> None:
    """Close the connections of a producer whose ``sender_tasks`` were cancelled.

    The public ``stop`` flushes first, which may wait for ever. Held by test_transaction_failures.py.
    """
    producer._closed = True
    with contextlib.suppress(Exception):
        await asyncio.wait_for(producer.client.close(), within_s)
    if cancelled:
        done, _ = await asyncio.wait(cancelled, timeout=within_s)
        for task in done:
            look_at_exception(task)
    transaction = producer._txn_manager._transaction_waiter
    if transaction is not None and transaction.done():  # of a commit that nobody awaited to its end
        look_at_exception(transaction)
    for batches in producer._message_accumulator._batches.values():
        for batch in batches:  # failed before it was sent: the client waits for that itself, or nobody
            if batch._drain_waiter.done():
                look_at_exception(batch._drain_waiter)


def look_at_exception(future: "asyncio.Future[Any]") -> None:
    """Look at a future's exception, so that asyncio does not report it as never retrieved.

    Held by test_transaction_failures.py.
    """
    if not future.cancelled():
        future.exception()
