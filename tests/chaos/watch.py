"""Looks at a running deployment from outside, every two seconds: pace, lag, and transactions that hang.

Reads offsets by the undisturbed way, never asks a worker. Invariant of P6: of a partition whose last stable
offset stands below its end, the time since it last moved is counted from when the last broker came back, for
nobody can end a transaction on brokers that are away.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from testing.kafka.cluster import Cluster
from tests.chaos.journal import Journal
from tests.chaos.topics import committed_offsets
from worker.config import Config
from worker.model.topics import TOPICS

_EVERY_S = 2.0
_ANSWER_S = 6.0


class Sample(Struct, frozen=True):
    """The deployment at one moment: offsets summed over partitions."""

    at_s: float
    raw: int
    enriched: int
    lag: int
    """Records of the raw topic that are not committed. Not of the repartition topic, which ends in
    transactions' markers that nobody commits.
    """
    all_ends: tuple[int, ...]
    """Of every partition of every topic that is written."""


class Watch:
    """Samples as they came, and the longest that any partition's readers had to wait."""

    def __init__(self, config: Config, cluster: Cluster, journal: Journal, partitions: int) -> None:
        self._config = config
        self._cluster = cluster
        self._journal = journal
        self._inputs = [TopicPartition(config.topics.raw, number) for number in range(partitions)]
        names = [config.topic_name(role) for role, spec in TOPICS.items() if spec.kind != "input"]
        self._written = [TopicPartition(t, p) for t in names for p in range(partitions)]
        self._stands: dict[TopicPartition, tuple[int, float]] = {}
        self._committed: dict[TopicPartition, int] = {}
        self.samples: list[Sample] = []
        self.longest_hang_s = 0.0
        self.hanging_longest = ""

    async def look(self) -> None:
        """Sample until cancelled."""
        while True:
            with contextlib.suppress(KafkaError, TimeoutError, OSError):
                async with self._clients() as (stable, high):
                    while True:
                        async with asyncio.timeout(_ANSWER_S):
                            await self._sample(stable, high)
                        await asyncio.sleep(_EVERY_S)
            await asyncio.sleep(1.0)

    async def now(self) -> Sample | None:
        """A sample that is younger than this call; None where the brokers do not answer in time."""
        before = len(self.samples)
        for _ in range(100):
            if len(self.samples) > before:
                return self.samples[-1]
            await asyncio.sleep(0.1)
        return None

    async def _sample(self, stable: AIOKafkaConsumer, high: AIOKafkaConsumer) -> None:
        servers = self._config.kafka.bootstrap_servers
        ends = await stable.end_offsets([*self._inputs, *self._written])
        tops = await high.end_offsets(self._written)
        committed = await committed_offsets(servers, self._config.kafka.group_id)
        enriched = self._config.topics.enriched
        # A coordinator that is still loading answers no offsets, or not all.
        loading = any(committed.get(tp, -1) < self._committed.get(tp, -1) for tp in self._inputs)
        if not loading:
            self._committed = committed
            lag = sum(ends[tp] - max(0, committed.get(tp, 0)) for tp in self._inputs)
            sample = Sample(
                self._journal.now_s(),
                sum(ends[tp] for tp in self._inputs),
                sum(ends[tp] for tp in self._written if tp.topic == enriched),
                lag,
                tuple(ends[tp] for tp in self._written),
            )
            self.samples.append(sample)
        now = time.monotonic()
        for tp in self._written:
            if ends[tp] >= tops[tp]:
                self._stands.pop(tp, None)
                continue
            offset, since = self._stands.get(tp, (-1, now))
            if offset != ends[tp]:
                self._stands[tp] = ends[tp], now
                continue
            hanging_s = min(now - since, self._cluster.complete_for_s())
            if hanging_s > self.longest_hang_s:
                self.longest_hang_s = hanging_s
                self.hanging_longest = f"{tp.topic}/{tp.partition} at offset {offset}"

    @contextlib.asynccontextmanager
    async def _clients(self) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaConsumer]]:
        async with contextlib.AsyncExitStack() as stack:
            clients = []
            for level in ("read_committed", "read_uncommitted"):
                client = AIOKafkaConsumer(
                    bootstrap_servers=self._config.kafka.bootstrap_servers,
                    isolation_level=level,
                    enable_auto_commit=False,
                    request_timeout_ms=5_000,
                )
                stack.push_async_callback(client.stop)
                await client.start()
                clients.append(client)
            yield clients[0], clients[1]
