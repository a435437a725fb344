"""Polls the client for the records it has fetched, as many as there is memory for.

Decides when to ask the client, how much to take at once, and how long a broker may hold a fetch back. Knows
nothing of sources. Invariants: ``getmany`` is never cancelled and never waits (the waiting is done here, so
that it ends for records and for room alike); a poll brings ``_POLL_BYTES``, or by at most one piece of a
batch or one record more.
"""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from worker.adapters.kafka.client_internals.fetcher import ClientFetcher
from worker.adapters.kafka.read_budget import UNFINISHED_BYTES, ReadBudget
from worker.model.events import InputRecord

_POLL_BYTES = 1024 * 1024
_POLL_RECORDS = 1_000
_MEMORY_WAIT_S = 0.02
FETCH_WAIT_MS = 100
"""The client sends one fetch at a time to each broker: one that waits for the usually empty repartition topic
delays a backlog of the raw topic."""
_QUIET_FETCH_WAIT_MS = 500
"""An idle worker spends most of its time on fetches for hundreds of partitions."""
_QUIET_AFTER_S = 2.0

Fetched = Mapping[TopicPartition, Sequence[InputRecord]]


class FetchLimits(Struct, frozen=True):
    """The most that one fetch of all partitions together may bring: half of what may wait in the client.

    Of a value over ``most_value_bytes`` only the beginning is handed out, where its batch is compressed.
    """

    fetch_bytes: int
    most_value_bytes: int


class Poller:
    """Polls one consumer."""

    def __init__(self, limits: FetchLimits) -> None:
        self._fetch_bytes = limits.fetch_bytes
        self.budget = ReadBudget(
            most_value_bytes=limits.most_value_bytes,
            unfinished_bytes=UNFINISHED_BYTES,
            poll_records=_POLL_RECORDS,
        )
        self._room = asyncio.Event()
        self._busy_at_s = time.monotonic()

    def wake(self) -> None:
        """End a waiting ``poll``: there is room, another partition to read, or the group is closing."""
        self._room.set()

    def position_changed(self) -> None:
        """End a waiting ``poll``, and let no fetch wait for long: records are expected elsewhere."""
        self._busy_at_s = time.monotonic()
        self._room.set()

    def partitions_with_data(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        """The partitions of which the client has records or an error, the oldest first."""
        self._room.clear()
        fetcher = ClientFetcher(consumer)
        # The client fetches every partition of which it keeps nothing, however much it keeps of the others.
        # An answer always holds a batch, so asking for 1 byte slows it down and never stops it.
        left_bytes = 2 * self._fetch_bytes - fetcher.compressed_bytes()
        fetcher.set_limits(fetch_bytes=max(1, min(self._fetch_bytes, left_bytes)))
        return fetcher.answered_partitions()

    async def poll(
        self, consumer: AIOKafkaConsumer, wanted: Sequence[TopicPartition], most_s: float
    ) -> Fetched:
        """The records that the client has of these; where it has none, wait for some. Raises KafkaError."""
        fetcher = ClientFetcher(consumer)
        if wanted:
            self.budget.begin_poll(_POLL_BYTES)
            fetched: Fetched = await consumer.getmany(*wanted, timeout_ms=0, max_records=sys.maxsize)
            if fetched:
                self._busy_at_s = time.monotonic()
                fetcher.set_limits(wait_ms=FETCH_WAIT_MS)
                return fetched
            most_s = _MEMORY_WAIT_S
        quiet = time.monotonic() - self._busy_at_s > _QUIET_AFTER_S
        fetcher.set_limits(wait_ms=_QUIET_FETCH_WAIT_MS if quiet else FETCH_WAIT_MS)
        news = fetcher.next_answer()
        room = asyncio.ensure_future(self._room.wait())
        try:
            waits: set[asyncio.Future[Any]] = {news, room}
            await asyncio.wait(waits, timeout=most_s, return_when=asyncio.FIRST_COMPLETED)
            if news.done():
                news.result()  # an error of the coordination comes this way
        finally:
            room.cancel()
            news.cancel()
        return {}
