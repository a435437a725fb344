"""Batches of the raw topic while they wait: for more records, for their turn, for the brokers' answer.

Decides what each request is answered, from what becomes of the batches that hold its records. Knows no
client and no broker. Invariant: each record gets one delivery, and a request is answered once: when it has
all of them, or when its time is over.
"""

import asyncio
from typing import Any

from worker.ports import Delivery


class Request:
    """Records that one caller waits for. ``deadline_s``: by the clock of the producer."""

    __slots__ = ("answered", "deadline_s", "deliveries", "missing")

    def __init__(self, records: int, deadline_s: float, answered: "asyncio.Future[None]") -> None:
        self.deliveries: list[Delivery] = ["unknown"] * records
        self.missing = records
        self.deadline_s = deadline_s
        self.answered = answered

    def deliver(self, index: int, delivery: Delivery) -> None:
        """What became of the record at ``index``. Does nothing after the answer."""
        if self.answered.done():
            return
        self.deliveries[index] = delivery
        self.missing -= 1
        if not self.missing:
            self.answered.set_result(None)

    def expire(self) -> None:
        """Answer with what is known: records without a delivery stay ``unknown``."""
        if not self.answered.done():
            self.answered.set_result(None)


class RawBatch:
    """Records of one partition that are sent together. ``builder``: the client's batch.

    ``opened_s``: when its first record came. ``last_error``: the last error code that it was answered.
    """

    __slots__ = ("_is_out", "_may_be_stored", "builder", "entries", "last_error", "opened_s", "value_bytes")

    def __init__(self, builder: Any, opened_s: float) -> None:
        self.builder = builder
        self.opened_s = opened_s
        self.entries: list[tuple[Request, int]] = []
        self.value_bytes = 0
        self.last_error = 0
        self._is_out = False
        self._may_be_stored = False

    @property
    def in_doubt(self) -> bool:
        """Whether a broker may have stored it, or may store it yet."""
        return self._is_out or self._may_be_stored

    def written(self) -> None:
        """It goes to a broker now."""
        self._is_out = True

    def not_stored(self, code: int) -> None:
        """The broker refused it with this error before it stored anything."""
        self._is_out = False
        self.last_error = code

    def maybe_stored(self, code: int = 0) -> None:
        """No answer came, or one that leaves it open."""
        self._is_out = False
        self._may_be_stored = True
        self.last_error = code or self.last_error

    def resolve(self, delivery: Delivery) -> None:
        """What became of all its records."""
        for request, index in self.entries:
            request.deliver(index, delivery)
        self.entries.clear()

    def expire(self, now_s: float) -> None:
        """Answer the requests whose time is over; they came in the order of their deadlines."""
        over = 0
        for request, _ in self.entries:
            if request.deadline_s > now_s:
                break
            request.expire()
            over += 1
        del self.entries[:over]
