"""One input partition's transactional producer, with a guard for every way in which the client can mislead.

Decides what counts as lost: everything that is not a clear success. Knows aiokafka; nothing of tasks and
states. Invariant: after ``commit`` returns, every record sent since ``begin`` is committed; after any
TransactionLost nothing more goes out under this epoch.

What it guards against (aiokafka 0.14, read in its source and reproduced in tests/contract):

* ``commit_transaction`` succeeds although a batch failed: the error is only on the batch's future;
* a request inside a transaction that failed on the way is retried unseen; its first copy may still arrive and
  end a *later* transaction of the same epoch (KIP-890): such a producer is tainted and never begins another
  one;
* after a fatal error the calls raise bare AssertionErrors; ``stop`` may wait for ever; sequence numbers wrap
  wrongly.
"""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice, repeat
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    InvalidTimestampError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import OffsetAndMetadata

from worker.adapters.kafka_batches import NO_HEADERS, fill
from worker.errors import TransactionLost
from worker.model.outputs import OutputRecord
from worker.model.rekeying import Headers, RekeyedRecord

_BATCH_BYTES = 512 * 1024
_MOST_RECORDS_A_PRODUCER = 2**30
_DISCARD_S = 2.0
_REFUSED = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTimestampError,
    InvalidTopicError,
    CorruptRecordException,
    PolicyViolationError,
    TopicAuthorizationFailedError,
)


class KafkaTransaction:
    """Implements ``ports.Transaction`` for one partition."""

    def __init__(
        self,
        *,
        client: Mapping[str, Any],
        transactional_id: str,
        group_id: str,
        partition: int,
        compression: str,
        transaction_timeout_ms: int,
        request_timeout_ms: int = 10_000,
    ) -> None:
        """``client``: what every client of the cluster needs: addresses and security."""
        self._client = dict(client)
        self._transactional_id = transactional_id
        self._group_id = group_id
        self._partition = partition
        self._compression = None if compression == "none" else compression
        self._transaction_timeout_ms = transaction_timeout_ms
        self._request_timeout_ms = request_timeout_ms
        self._producer: AIOKafkaProducer | None = None
        self._tainted_by: str | None = None
        self._in_transaction = False
        self._records_sent = 0
        self._deadline = 0.0
        self._pending: list[tuple[TopicPartition, int, asyncio.Future[Any]]] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def fence(self) -> None:
        """Become the only writer of this transactional id."""
        self.discard()
        producer = AIOKafkaProducer(
            **self._client,
            transactional_id=self._transactional_id,
            transaction_timeout_ms=self._transaction_timeout_ms,
            request_timeout_ms=self._request_timeout_ms,
            compression_type=self._compression,
            max_batch_size=_BATCH_BYTES,
            # Only a limit of send(), which is not used; batches bear records of any size, the broker decides.
            max_request_size=2**31 - 1,
            acks="all",
            enable_idempotence=True,
        )
        self._watch(producer)
        self._producer = producer
        self._tainted_by = None
        self._in_transaction = False
        self._records_sent = 0
        self._deadline = asyncio.get_running_loop().time() + self._transaction_timeout_ms / 1000
        async with self._lost_on_failure("fence"):
            await producer.start()

    async def begin(self) -> None:
        """Open a transaction."""
        if self._tainted_by is not None:
            raise TransactionLost(
                f"an answer was lost in the last transaction ({self._tainted_by}): its epoch ends here"
            )
        if self._records_sent > _MOST_RECORDS_A_PRODUCER:
            raise TransactionLost("a producer's sequence numbers are used up: going on with a new one")
        # Well below the broker's own timeout, which would abort behind our back.
        self._deadline = asyncio.get_running_loop().time() + self._transaction_timeout_ms / 2000
        self._pending.clear()
        async with self._lost_on_failure("begin") as producer:
            await producer.begin_transaction()
            self._in_transaction = True

    async def send(self, topic: str, records: Sequence[OutputRecord], partition: int | None = None) -> None:
        """Send records to this partition of the topic, or to the one given, in batches, in order."""
        await self._send_all(topic, self._partition if partition is None else partition, records)

    async def forward(self, topic: str, partition: int, records: Sequence[RekeyedRecord]) -> None:
        """Send records to that partition of the topic, in batches, in order."""
        outputs = [(record.key, record.value, None) for record in records]
        await self._send_all(topic, partition, outputs, [record.headers for record in records])

    async def _send_all(
        self,
        topic: str,
        partition: int,
        records: Sequence[OutputRecord],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """``headers``: of each record; None for none at all."""
        if not records:
            return
        async with self._lost_on_failure(f"send to {topic}", topic) as producer:
            sent = 0
            while sent < len(records):
                batch = producer.create_batch()
                rest = repeat(NO_HEADERS) if headers is None else islice(headers, sent, None)
                sent += fill(batch, islice(records, sent, None), rest)
                await self._send_batch(producer, batch, topic, partition)

    async def _send_batch(self, producer: AIOKafkaProducer, batch: Any, topic: str, partition: int) -> None:
        count = batch.record_count()
        self._records_sent += count
        future = await producer.send_batch(batch, topic, partition=partition)
        future.add_done_callback(_retrieve)
        self._pending.append((TopicPartition(topic, partition), count, future))

    async def acknowledged(self) -> dict[str, int]:
        """Wait for every batch; the offset after the last record of this partition, by topic."""
        next_offsets: dict[str, int] = {}
        for topic_partition, count, future in self._pending:
            async with self._lost_on_failure(f"send to {topic_partition.topic}", topic_partition.topic):
                metadata = await future
                if topic_partition.partition == self._partition:
                    next_offsets[topic_partition.topic] = metadata.offset + count
        self._pending.clear()
        return next_offsets

    async def add_offsets(self, next_offsets: Mapping[str, int], author: str) -> None:
        """Make the group's offsets part of the transaction, with the incarnation whose they are."""
        offsets = {
            TopicPartition(topic, self._partition): OffsetAndMetadata(offset, author)
            for topic, offset in next_offsets.items()
        }
        async with self._lost_on_failure("add offsets") as producer:
            await producer.send_offsets_to_transaction(offsets, self._group_id)

    async def commit(self) -> None:
        """Make all of it visible at once."""
        async with self._lost_on_failure("commit") as producer:
            await producer.commit_transaction()
            self._in_transaction = False

    def discard(self) -> None:
        """Throw the producer away; what it left open ends with the next fencing."""
        producer, self._producer = self._producer, None
        for _, _, future in self._pending:
            future.cancel()
        self._pending.clear()
        if producer is not None:
            under_way = _tasks_of(producer)
            for task in under_way:
                task.cancel()
            closing = asyncio.get_running_loop().create_task(_close(producer, under_way))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def closed(self) -> None:
        """Wait until every discarded producer has let go of its connections."""
        if self._closing:
            await asyncio.wait(self._closing)

    def _watch(self, producer: AIOKafkaProducer) -> None:
        """Notice a request of a transaction that failed on the way, though the client retries and then
        succeeds.
        """
        send = producer.client.send

        async def watched_send(node_id: Any, request: Any, **options: Any) -> Any:
            try:
                return await send(node_id, request, **options)
            except BaseException as error:
                if self._in_transaction and producer is self._producer:
                    self._tainted_by = f"{type(request).__name__}: {type(error).__name__}"
                raise

        producer.client.send = watched_send

    @contextlib.asynccontextmanager
    async def _lost_on_failure(self, what: str, topic: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
        """Any exception, and the end of the transaction's time, is a TransactionLost that names its first
        cause.
        """
        producer = self._producer
        if producer is None:
            raise TransactionLost(f"{what}: the producer was discarded")
        try:
            async with asyncio.timeout_at(self._deadline):
                yield producer
        except TransactionLost:
            raise
        except TimeoutError as error:
            if topic is not None and not producer.client.cluster.partitions_for_topic(topic):
                raise TransactionLost(f"{what}: there is no such topic", refused=True) from error
            raise TransactionLost(f"{what}: no answer in time") from error
        except Exception as error:
            sender = producer._sender.sender_task
            cause = error
            if (
                sender is not None
                and sender.done()
                and not sender.cancelled()
                and sender.exception() is not None
            ):
                cause = (
                    sender.exception()
                )  # the first cause; what the caller sees may be a bare AssertionError
            refused = isinstance(error, _REFUSED)
            raise TransactionLost(f"{what}: {type(cause).__name__}: {cause}", refused=refused) from error


def _retrieve(future: "asyncio.Future[Any]") -> None:
    """Look at a future's exception, so that a discarded batch is not reported as forgotten."""
    if not future.cancelled():
        future.exception()


def _tasks_of(producer: AIOKafkaProducer) -> "set[asyncio.Task[Any]]":
    """The producer's sender and its requests under way.

    A cancelled sender waits for its requests and never cancels them; they retry, or wait for news of the
    cluster that nobody asks for any more, for ever.
    """
    sender = producer._sender
    return {
        task
        for task in asyncio.all_tasks()
        if inspect.getcoroutinelocals(task.get_coro()).get("self") is sender  # type: ignore[arg-type]
    }


async def _close(producer: AIOKafkaProducer, cancelled: "set[asyncio.Task[Any]]") -> None:
    """End a producer without its flush, which may wait for ever."""
    producer._closed = True
    with contextlib.suppress(Exception):
        await asyncio.wait_for(producer.client.close(), _DISCARD_S)
    if cancelled:
        done, _ = await asyncio.wait(cancelled, timeout=_DISCARD_S)
        for task in done:
            _retrieve(task)
    outcome = producer._txn_manager._transaction_waiter
    if outcome is not None and outcome.done():  # of a commit that nobody waited for, or waited out
        _retrieve(outcome)
    for batches in producer._message_accumulator._batches.values():
        for batch in batches:  # failed before it was on its way: the client waits for that itself, or nobody
            if batch._drain_waiter.done():
                _retrieve(batch._drain_waiter)
