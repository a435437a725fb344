"""Writes to the raw topic with acknowledgement of all in-sync replicas, and says what became of each record.

Decides when a batch is sent, when a partition counts as stalled, and what its records are answered. Knows
nothing of HTTP and of events. Invariants: ``stored`` is answered only for a batch that the brokers
acknowledged; ``not_sent`` and ``rejected`` only where no attempt can have stored it, and then none is made
any more; nothing is awaited longer than configured.

The client hides much (aiokafka 0.14, read in its source): batches of an idempotent producer never expire, so
what was answered as lost may arrive later; a batch that failed for good leaves a hole in the sequence
numbers, after which the partition takes nothing more from this producer; a fatal error ends it. Whichever
happens, the partition gets a new producer.
"""

import asyncio
import contextlib
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiokafka.errors import KafkaError

from worker.adapters.kafka.delivery_outcomes import TOO_LARGE, outcome
from worker.adapters.kafka.raw_batches import RawBatch, Request
from worker.adapters.kafka.raw_connection import ConnectionOptions, RawConnection
from worker.adapters.kafka.raw_connections import RawConnections
from worker.adapters.kafka.raw_partition import RawPartition
from worker.adapters.kafka.raw_problems import RawProblems
from worker.adapters.kafka.security import client_options
from worker.config import Config
from worker.ports import Clock, Delivery, RawRecord

_BATCH_BYTES = 512 * 1024
_LEAST_BATCH_BYTES = 16 * 1024
_SWEEP_S = 0.05


class KafkaRawProducer:
    """Implements ``ports.RawProducer``."""

    def __init__(self, config: Config, clock: Clock) -> None:
        """Raises ConfigError where a certificate or key cannot be used."""
        collect = config.collect
        self._clock = clock
        self._ack_timeout_s = collect.ack_timeout_ms / 1000
        self._stall_s = min(collect.stall_ms, collect.ack_timeout_ms) / 1000
        self._linger_s = collect.linger_ms / 1000
        options = ConnectionOptions(
            client=client_options(config.kafka),
            topic=config.topics.raw,
            compression=config.kafka.compression,
            # Two attempts fit into the time for which a request waits; each may find another leader.
            request_timeout_ms=max(1_000, min(10_000, collect.ack_timeout_ms // 2)),
        )
        self._problems = RawProblems(config)
        self._connections = RawConnections(options, self._problems, self._send_or_linger)
        self._partitions = self._connections.partitions
        self._batch_bytes = _BATCH_BYTES
        self._settled = asyncio.Event()
        self._closing = False
        self._linger: asyncio.TimerHandle | None = None
        self._lingering: list[RawPartition] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweep_due_s = 0.0

    async def start(self) -> None:
        """Begin to connect, and return at once; it is tried until ``close``."""
        self._loop = asyncio.get_running_loop()
        self._connections.start()

    async def close(self, within_s: float) -> None:
        """Take nothing more, wait up to ``within_s`` for what waits, answer the rest, and close."""
        self._closing = True
        for partition in self._partitions.values():
            self._send_or_linger(partition)
        if any(partition.oldest for partition in self._partitions.values()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._settled.wait()
        for timer in (self._linger, self._sweeper):
            if timer is not None:
                timer.cancel()
        for partition in self._partitions.values():
            if partition.in_flight is not None:
                batch = partition.take_in_flight()
                batch.resolve("unknown" if batch.in_doubt else "not_sent")
            partition.drop_queue(math.inf)
            partition.detach()
        await self._connections.close()

    def partitions(self) -> int | None:
        """How many partitions the raw topic has; None until brokers have named it."""
        return self._connections.count or None

    def is_stalled(self, partition: int) -> bool:
        """Whether records for the partition would be refused now."""
        known = self._partitions.get(partition)
        return known is None or not known.admits or self._closing

    def problem(self) -> str | None:
        """What keeps records from being stored, in one line with the remedy; None where nothing does."""
        count = self._connections.count
        partitions = [each for each in self._partitions.values() if each.number < count]
        return self._problems.text(self._connections.current, partitions)

    async def send(self, records: Sequence[RawRecord]) -> Sequence[Delivery]:
        """Send records; none of them where one is for a partition that is stalled."""
        if not records:
            return []
        partitions = self._partitions
        for record in records:
            known = partitions.get(record.partition)
            if known is None or not known.admits or self._closing:
                return ["not_sent"] * len(records)
        now_s = self._clock.monotonic()
        request = Request(len(records), now_s + self._ack_timeout_s, self._loop.create_future())
        for index, record in enumerate(records):
            partition = partitions[record.partition]
            batch = partition.queue[-1] if partition.queue else None
            if batch is None or batch.value_bytes + len(record.value) > self._batch_bytes:
                batch = self._open_batch(partition, now_s)
            batch.value_bytes += len(record.value)
            batch.builder.append(
                timestamp=record.timestamp_ms, key=record.key, value=record.value, headers=record.headers
            )
            batch.entries.append((request, index))
        await request.answered
        return request.deliveries

    def _open_batch(self, partition: RawPartition, now_s: float) -> RawBatch:
        if partition.queue and partition.can_send:
            self._send_next(partition)  # the one before it is full
        batch = RawBatch(self._connections.create_batch(), now_s)
        partition.queue.append(batch)
        partition.refresh()
        self._send_or_linger(partition)
        if self._sweeper is None:
            self._sweep_soon()
        return batch

    # --- batches ---

    def _send_or_linger(self, partition: RawPartition) -> None:
        """Send the next batch if it has waited long enough, else when it has."""
        if not partition.queue or not partition.can_send:
            return
        waited_s = self._clock.monotonic() - partition.queue[0].opened_s
        if self._closing or len(partition.queue) > 1 or waited_s >= self._linger_s > 0:
            self._send_next(partition)
            return
        self._lingering.append(partition)
        if self._linger is None:
            self._linger = self._loop.call_later(self._linger_s - waited_s, self._linger_ended)

    def _linger_ended(self) -> None:
        """Send all that lingers, also what came a little later: it shares the request."""
        self._linger = None
        lingering, self._lingering = self._lingering, []
        for partition in lingering:
            if partition.queue and partition.can_send:
                self._send_next(partition)

    def _send_next(self, partition: RawPartition) -> None:
        connection = partition.connection
        assert connection is not None
        try:
            batch, answer = partition.send_next()
        except KafkaError as error:  # it has ended that producer; the batch waits for the next one
            self._problems.failed(error)
            self._connections.replace(connection, partition)
            return
        answer.add_done_callback(partial(self._answered, connection, partition, batch))

    def _answered(
        self,
        connection: RawConnection,
        partition: RawPartition,
        batch: RawBatch,
        answer: "asyncio.Future[Any]",
    ) -> None:
        if partition.in_flight is not batch:
            return  # withdrawn before it was written
        partition.take_in_flight()
        error = asyncio.CancelledError() if answer.cancelled() else answer.exception()
        if error is None:
            self._acknowledged(connection, partition, batch, answer.result().offset)
        else:
            self._failed(connection, partition, batch, error)
        partition.is_late = False
        partition.refresh()
        self._send_or_linger(partition)
        if connection is not self._connections.current:
            self._connections.close_unused()
        if self._closing and not any(each.oldest for each in self._partitions.values()):
            self._settled.set()

    def _acknowledged(
        self, connection: RawConnection, partition: RawPartition, batch: RawBatch, offset: int
    ) -> None:
        if offset <= partition.last_offset:
            # The topic was recreated, or the broker took it for a copy of an earlier batch.
            batch.resolve("unknown")
            self._connections.replace(connection, partition)
            return
        partition.last_offset = offset
        batch.resolve("stored")
        self._connections.acknowledged()
        self._problems.stored()

    def _failed(
        self, connection: RawConnection, partition: RawPartition, batch: RawBatch, error: BaseException
    ) -> None:
        code = getattr(error, "errno", 0)
        records = batch.builder.record_count()
        batch.resolve(outcome(code, records, in_doubt=batch.in_doubt))
        if code not in TOO_LARGE:
            self._problems.failed(error)
        elif records > 1:
            # max.message.bytes of the topic was lowered: smaller batches, so that neighbors do not suffer.
            self._batch_bytes = max(_LEAST_BATCH_BYTES, self._batch_bytes // 2)
        self._connections.replace(connection, partition)

    # --- stalls ---

    def _sweep_soon(self) -> None:
        self._sweep_due_s = self._clock.monotonic() + _SWEEP_S
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """Look at the oldest batch of each partition; again soon, while there is one."""
        self._sweeper = None
        now_s = self._clock.monotonic()
        # Where this process itself stood still, answers that came meanwhile have not been read yet.
        stall_s = self._stall_s + now_s - self._sweep_due_s
        waiting = False
        for partition in self._partitions.values():
            oldest = partition.oldest
            if oldest is not None and now_s - oldest.opened_s > stall_s:
                self._stall(partition, now_s, now_s - stall_s)
            waiting = waiting or partition.oldest is not None
        if waiting:
            self._sweep_soon()
        elif self._closing:
            self._settled.set()

    def _stall(self, partition: RawPartition, now_s: float, opened_before_s: float) -> None:
        """Withdraw what no broker can have; answer who has waited long enough for the rest."""
        partition.drop_queue(opened_before_s)
        batch, connection = partition.in_flight, partition.sent_by
        if batch is not None and batch.in_doubt:
            batch.expire(now_s)
        elif batch is not None and connection is not None:
            partition.take_in_flight()
            batch.resolve("not_sent")
            # The client still holds it, with its place in the sequence: this producer cannot go on there.
            self._connections.replace(connection, partition)
        partition.is_late = partition.in_flight is not None
        partition.refresh()
