"""The transactional producer of one input partition, with guards against errors that the client hides.

Decides what counts as lost: everything that is not a clear success. Knows nothing of tasks and states.
Invariant: after ``commit`` returns, every record sent since ``begin`` is committed; after any TransactionLost
nothing more is sent under this epoch.

The guards (against aiokafka 0.14, read in its source and reproduced in tests/contract):

* ``commit_transaction`` succeeds although a batch failed: the error is only on the batch's future, and what
  the caller sees next names another topic, or none; so every answer is looked at as it comes (``answers``),
  and the first refusal is the cause;
* a request of a transaction that failed in transit is retried unseen; its first copy may still arrive and end
  a *later* transaction of the same epoch (KIP-890): such a producer is tainted and begins no other one;
* after a fatal error the calls raise bare AssertionErrors; ``stop`` may wait for ever; sequence numbers wrap
  wrongly.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from msgspec import Struct

from worker.adapters.kafka.answers import (
    UNKNOWN_TOPIC,
    BrokerError,
    broker_errors_in,
    client_refusal,
    grants_of,
)
from worker.adapters.kafka.batches import Packing, filled_batches, native_batches
from worker.adapters.kafka.client_internals.producer import (
    close_producer,
    knows_topic,
    look_at_exception,
    sender_failure,
    sender_tasks,
    watch_answers,
)
from worker.adapters.kafka.client_internals.protocol import PRODUCE
from worker.errors import TransactionLost
from worker.model.output_records import Outgoing
from worker.model.outputs import OutputRecord
from worker.model.repartition import Headers, RepartitionedRecord
from worker.native.parts import NativeParts

_BATCH_BYTES = 512 * 1024
_MOST_RECORDS_A_PRODUCER = 2**30
_DISCARD_S = 2.0


class ProducerOptions(Struct, frozen=True, kw_only=True):
    """How a producer compresses, and how long the brokers leave its transactions open.

    ``native``: puts batches together, where it is used.
    """

    compression: str
    transaction_timeout_ms: int
    request_timeout_ms: int = 10_000
    native: NativeParts = NativeParts(None)


class KafkaTransaction:
    """Implements ``ports.Transaction`` for one partition."""

    def __init__(
        self,
        *,
        client: Mapping[str, Any],
        transactional_id: str,
        group_id: str,
        partition: int,
        options: ProducerOptions,
    ) -> None:
        """``client``: what every client of the cluster needs: addresses and security."""
        self._client = dict(client)
        self._grants = grants_of(client)
        self._transactional_id = transactional_id
        self._group_id = group_id
        self._partition = partition
        self._options = options
        self._producer: AIOKafkaProducer | None = None
        self._tainted_by: str | None = None
        self._in_transaction = False
        self._refusal: BrokerError | None = None
        self._errors: dict[int, BrokerError] = {}  # by request, in order, where no success has followed
        self._answered = False  # any request, since the transaction began
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
            transaction_timeout_ms=self._options.transaction_timeout_ms,
            request_timeout_ms=self._options.request_timeout_ms,
            compression_type=None if self._options.compression == "none" else self._options.compression,
            max_batch_size=_BATCH_BYTES,
            # It limits only send(), which is not used; batches hold records of any size, the broker decides.
            max_request_size=2**31 - 1,
            acks="all",
            enable_idempotence=True,
        )
        self._watch(producer)
        self._producer = producer
        self._tainted_by = None
        self._in_transaction = False
        self._reset_answers()
        self._records_sent = 0
        self._deadline = asyncio.get_running_loop().time() + self._options.transaction_timeout_ms / 1000
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
        # Well below the broker's own timeout, at which it would abort without a word.
        self._deadline = asyncio.get_running_loop().time() + self._options.transaction_timeout_ms / 2000
        self._pending.clear()
        self._reset_answers()
        async with self._lost_on_failure("begin") as producer:
            await producer.begin_transaction()
            self._in_transaction = True

    async def send(
        self, topic: str, records: Outgoing | Sequence[OutputRecord], partition: int | None = None
    ) -> None:
        """Send records to this partition of the topic, or to the one given, in batches, in order."""
        await self._send_all(topic, self._partition if partition is None else partition, records)

    async def forward(self, topic: str, partition: int, records: Sequence[RepartitionedRecord]) -> None:
        """Send records to that partition of the topic, in batches, in order."""
        outputs = [(record.key, record.value, None) for record in records]
        await self._send_all(topic, partition, outputs, [record.headers for record in records])

    async def _send_all(
        self,
        topic: str,
        partition: int,
        records: Outgoing | Sequence[OutputRecord],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """``headers``: those of each record; None where no record has any."""
        if not records:
            return
        async with self._lost_on_failure(f"send to {topic}", topic) as producer:
            options = self._options
            batches: Iterable[Any]
            if options.native.library is None:
                batches = filled_batches(producer.create_batch, records, headers)
            else:
                packing = Packing(_BATCH_BYTES, options.compression)
                batches = native_batches(options.native, packing, records, headers)
            for batch in batches:
                await self._send_batch(producer, batch, topic, partition)

    async def _send_batch(self, producer: AIOKafkaProducer, batch: Any, topic: str, partition: int) -> None:
        count = batch.record_count()
        self._records_sent += count
        future = await producer.send_batch(batch, topic, partition=partition)
        future.add_done_callback(look_at_exception)
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
        """Add the group's offsets to the transaction, with the changelog's incarnation as their author."""
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
        """Drop the producer; a transaction that it left open is aborted by the next ``fence``."""
        producer, self._producer = self._producer, None
        for _, _, future in self._pending:
            future.cancel()
        self._pending.clear()
        if producer is not None:
            cancelled = sender_tasks(producer)
            for task in cancelled:
                task.cancel()
            closing = asyncio.get_running_loop().create_task(close_producer(producer, cancelled, _DISCARD_S))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def closed(self) -> None:
        """Wait until every discarded producer has closed its connections."""
        if self._closing:
            await asyncio.wait(self._closing)

    def _watch(self, producer: AIOKafkaProducer) -> None:
        """Record every answer, and each request of a transaction that got none."""

        def answered(response: Any) -> None:
            if producer is self._producer:
                self._record(response)

        def failed(request: Any, error: BaseException) -> None:
            if self._in_transaction and producer is self._producer:
                self._tainted_by = f"{type(request).__name__}: {type(error).__name__}"

        watch_answers(producer, answered, failed)

    def _record(self, response: Any) -> None:
        """Keep the first refusal, and of each kind of request its last error."""
        self._answered = True
        self._errors.pop(response.API_KEY, None)
        for answer in broker_errors_in(response):
            self._errors.setdefault(answer.request, answer)
            if answer.refused and self._refusal is None:
                self._refusal = answer

    def _reset_answers(self) -> None:
        self._refusal = None
        self._errors.clear()
        self._answered = False

    @contextlib.asynccontextmanager
    async def _lost_on_failure(self, what: str, topic: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
        """Turn any exception, and the transaction's timeout, into a TransactionLost with its cause."""
        producer = self._producer
        if producer is None:
            raise TransactionLost(f"{what}: the producer was discarded")
        try:
            async with asyncio.timeout_at(self._deadline):
                yield producer
        except TransactionLost:
            raise
        except TimeoutError as error:
            raise self._refused(topic) or self._out_of_time(what, topic, producer) from error
        except Exception as error:
            self._options.native.check()  # whatever it looks like here: the native library is the cause
            raise self._refused(topic, error) or self._failed(what, error, producer) from error

    def _refused(self, topic: str | None, error: Exception | None = None) -> TransactionLost | None:
        """The first refusal, if there was one: in an answer, or by the client from an earlier answer."""
        refusal = self._refusal or client_refusal(error, topic)
        if refusal is None:
            return None
        return self._answered_with(refusal)

    def _out_of_time(self, what: str, topic: str | None, producer: AIOKafkaProducer) -> TransactionLost:
        """Why it took too long: nothing refused it; the last error that was retried may be the cause."""
        last = next(reversed(self._errors.values()), None)
        if last is None and topic is not None and not knows_topic(producer, topic):
            return self._answered_with(BrokerError(PRODUCE, UNKNOWN_TOPIC, topic))
        if last is None and self._in_transaction and self._answered:
            half_s = self._options.transaction_timeout_ms / 2000
            return TransactionLost(
                f"{what}: no answer in time, which is {half_s:g} s, half of "
                "kafka.transaction_timeout_ms. The next transaction is smaller; if a produce quota or a slow "
                "link needs more time for good, raise that option or the quota",
                timed_out=True,
            )
        if last is None:
            return TransactionLost(f"{what}: no answer in time")
        if last.code == UNKNOWN_TOPIC:
            return self._answered_with(last)
        text = self._text_of(last)
        return TransactionLost(f"{what}: not done in time; what the brokers answered last: {text}")

    def _answered_with(self, answer: BrokerError) -> TransactionLost:
        missing_topic = answer.topic if answer.code == UNKNOWN_TOPIC else ""
        return TransactionLost(self._text_of(answer), refused=True, missing_topic=missing_topic)

    def _text_of(self, answer: BrokerError) -> str:
        return answer.text(self._group_id, self._transactional_id, self._grants)

    def _failed(self, what: str, error: Exception, producer: AIOKafkaProducer) -> TransactionLost:
        """The failure that came first: of a batch, else of the client's sender, which then fails everything.

        The caller sees the last one, which may be a bare AssertionError.
        """
        ended_by = sender_failure(producer)
        for topic_partition, _, future in self._pending:
            failure = future.exception() if future.done() and not future.cancelled() else None
            if failure is not None and failure is not ended_by:
                return TransactionLost(f"send to {topic_partition.topic}: {_name_and_text(failure)}")
        return TransactionLost(f"{what}: {_name_and_text(ended_by or error)}")


def _name_and_text(error: BaseException) -> str:
    """The name and text of an error of the client; of its "unexpected" one, those of the cause."""
    cause = error.__cause__ if type(error) is KafkaError and error.__cause__ else error
    return f"{type(cause).__name__}: {cause}"
