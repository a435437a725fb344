"""What waits for one partition of the raw topic, and whether more is taken.

Decides the order: one batch with the client, the others in a queue behind it. Knows no clock of its own.
Invariant: records are sent in the order in which they were added, whatever becomes of the connections.
"""

import asyncio
from collections import deque
from typing import Any

from worker.adapters.kafka.raw_batches import RawBatch
from worker.adapters.kafka.raw_connection import RawConnection

_MOST_QUEUED = 64


class RawPartition:
    """One partition. ``connection``: what sends its next batch; None while nothing can.

    ``in_flight``: the batch that ``sent_by`` holds. ``admits``: whether new records are taken.
    ``last_offset``: of the last acknowledged batch of this connection; -1 before the first.
    """

    __slots__ = (
        *("admits", "connection", "has_leader", "in_flight", "is_late", "last_offset", "number", "queue"),
        "sent_by",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.connection: RawConnection | None = None
        self.has_leader = False
        self.is_late = False
        self.in_flight: RawBatch | None = None
        self.sent_by: RawConnection | None = None
        self.queue: deque[RawBatch] = deque()
        self.last_offset = -1
        self.admits = False

    @property
    def oldest(self) -> RawBatch | None:
        """The batch that has waited longest."""
        return self.in_flight or (self.queue[0] if self.queue else None)

    @property
    def can_send(self) -> bool:
        """Whether the client can be given a batch now."""
        return self.in_flight is None and self.connection is not None and self.has_leader

    def refresh(self) -> None:
        """Decide again whether new records are taken."""
        self.admits = (
            self.has_leader
            and not self.is_late
            and self.connection is not None
            and len(self.queue) < _MOST_QUEUED
        )

    def attach(self, connection: RawConnection) -> None:
        """Send through this connection from the next batch on."""
        self.connection = connection
        self.last_offset = -1
        self.refresh()

    def detach(self) -> None:
        """Send nothing more until a connection is attached."""
        self.connection = None
        self.refresh()

    def send_next(self) -> "tuple[RawBatch, asyncio.Future[Any]]":
        """Give the client the first batch of the queue; that batch, and the future of its answer.

        Raises KafkaError where the producer has ended; then the batch is still the first.
        """
        assert self.can_send
        assert self.connection is not None
        batch = self.queue[0]
        answer = self.connection.send(batch, self.number)
        self.in_flight, self.sent_by = self.queue.popleft(), self.connection
        self.refresh()
        return batch, answer

    def take_in_flight(self) -> RawBatch:
        """The batch that is with the client, which is not to write it from now on."""
        batch, connection = self.in_flight, self.sent_by
        assert batch is not None
        assert connection is not None
        connection.release(self.number)
        self.in_flight = self.sent_by = None
        return batch

    def drop_queue(self, opened_before_s: float) -> None:
        """Answer ``not_sent`` to the batches of the queue that were opened before that time."""
        while self.queue and self.queue[0].opened_s < opened_before_s:
            self.queue.popleft().resolve("not_sent")
