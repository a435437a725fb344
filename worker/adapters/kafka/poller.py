"""Takes from the client what its fetches have brought, as much as there is memory for.

Decides when to ask the client, how much to take at once, and how long the broker may keep a fetch. Knows the
client's fetcher (aiokafka 0.14); nothing of sources. Invariants: ``getmany`` is never cancelled and never
waits (that is done here, so that news of room and of records both end it); a poll brings ``_POLL_BYTES``, and
by at most one piece of a batch or one record more.
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
"""The client has one fetch a broker under way: one that waits for the usually empty repartition topic keeps a
backlog of the raw topic waiting."""
_QUIET_FETCH_WAIT_MS = 500
"""Where nothing comes in, asking for hundreds of partitions is most of what the worker does."""
_QUIET_AFTER_S = 2.0

Fetched = Mapping[TopicPartition, Sequence[InputRecord]]


class FetchLimits(Struct, frozen=True):
    """The most that one fetch of all partitions together may bring: half of what may wait in the client.

    Of a value over ``most_value_bytes`` only the beginning is handed out, where its batch is compressed.
    """

    fetch_bytes: int
    most_value_bytes: int


class Poller:
    """One consumer's."""

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
        """There is room, or another partition to read, or an end to it all."""
        self._room.set()

    def sought(self) -> None:
        """The client is to read elsewhere: soon, so no fetch should wait for long."""
        self._busy_at_s = time.monotonic()
        self._room.set()

    def brought(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        """The partitions for which the client has something, records or an error, oldest first."""
        self._room.clear()
        fetcher = ClientFetcher(consumer)
        # The client asks for every partition of which nothing waits, whatever waits of the others. An answer
        # always holds a batch, so asking for 1 byte slows it down and never stops it.
        left_bytes = 2 * self._fetch_bytes - fetcher.packed_bytes()
        fetcher.set_limits(fetch_bytes=max(1, min(self._fetch_bytes, left_bytes)))
        return fetcher.answered_partitions()

    async def poll(
        self, consumer: AIOKafkaConsumer, wanted: Sequence[TopicPartition], most_s: float
    ) -> Fetched:
        """What the client has for these; where that is nothing wait for more. Raises KafkaError."""
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
