"""A deployment under test: its topics, its traffic and its worker processes.

Knows processes and topics; nothing of promises. Invariant: no worker process outlives the deployment that
started it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]
from aiokafka import TopicPartition
from msgspec import structs

from testing.worker_process import WorkerProcess
from tests.chaos.topics import committed_offsets, end_offsets
from worker.adapters.kafka import topics as kafka_topics
from worker.adapters.kafka.security import client_options
from worker.config import Config, load, topic_variables
from worker.demo.topics import feed
from worker.demo.traffic import RawRecord

_PIECE_S = 0.1


class Deployment:
    """Topics with names of their own, and workers that read them."""

    def __init__(
        self,
        bootstrap_servers: str,
        prefix: str,
        directory: Path,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """``bootstrap_servers``: where the truth is asked for, without a login; the workers' own, too, where
        ``options`` (more environment variables, without their ``SESSIONIZER_``) name no others.
        """
        self.directory = directory
        self.environment = {
            "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "SESSIONIZER_KAFKA_GROUP_ID": f"{prefix}group",
            **topic_variables(prefix),
            "SESSIONIZER_KAFKA_SESSION_TIMEOUT_MS": "4000",
            "SESSIONIZER_KAFKA_HEARTBEAT_INTERVAL_MS": "500",
            "SESSIONIZER_LOG_STATS_INTERVAL_S": "1",
            "SESSIONIZER_LOG_FORMAT": "json",
            **{f"SESSIONIZER_{name}": value for name, value in (options or {}).items()},
        }
        self.config: Config = load(None, self.environment)
        # As the tests themselves come to the brokers.
        self.direct = structs.replace(
            self.config,
            kafka=structs.replace(
                self.config.kafka, bootstrap_servers=bootstrap_servers, security_protocol="PLAINTEXT"
            ),
        )
        self.workers: list[WorkerProcess] = []

    async def create_topics(self, partitions: int) -> None:
        """Make all its topics."""
        await kafka_topics.create(self.direct, partitions=partitions)

    def worker(
        self, name: str, options: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
    ) -> WorkerProcess:
        """A worker of this deployment, not yet started; ``arguments`` stand behind ``run``."""
        more = {f"SESSIONIZER_{key}": value for key, value in (options or {}).items()}
        worker = WorkerProcess({**self.environment, **more}, self.directory, name, arguments)
        self.workers.append(worker)
        return worker

    async def feed(self, records: Sequence[RawRecord]) -> None:
        """Put the records into the raw topic."""
        async for _ in feed(client_options(self.direct.kafka), self.config.topics.raw, records):
            pass

    async def caught_up(self, timeout_s: float = 120.0) -> None:
        """Wait until all is read, and all that came of it is visible. Fails once no worker is left."""
        async with asyncio.timeout(timeout_s):
            while not await everything_is_read(self.direct):
                assert any(worker.running for worker in self.workers), "no worker is left:\n" + "\n".join(
                    worker.raw_log()[-2000:] for worker in self.workers
                )
                await asyncio.sleep(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self.workers:
            if worker.running:
                worker.kill()


async def everything_is_read(config: Config) -> bool:
    """Whether the group has committed all that is in its two inputs, and no transaction is open.

    A transaction's markers come one partition at a time: its offsets may be there before its records.
    """
    servers = config.kafka.bootstrap_servers
    committed = await committed_offsets(servers, config.kafka.group_id)
    for role, topic in config.topic_names.items():
        ends = await end_offsets(servers, topic)
        if role in ("raw", "repartition") and any(
            committed.get(TopicPartition(topic, number), 0) < end for number, end in ends.items()
        ):
            return False
        if await end_offsets(servers, topic, committed=True) != ends:
            return False
    return True


def gone(processes: Sequence[psutil.Process]) -> bool:
    """Whether none of them runs; what only waits for its parent to look does not."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True


@asynccontextmanager
async def feeding(deployment: Deployment, records: Sequence[RawRecord], over_s: float) -> AsyncIterator[None]:
    """Put the records in little by little over ``over_s``, beside what happens inside; all are in when it
    ends.
    """

    async def feed_pieces() -> None:
        pieces = max(1, round(over_s / _PIECE_S))
        for piece in range(pieces):
            first, end = (len(records) * place // pieces for place in (piece, piece + 1))
            await deployment.feed(records[first:end])
            await asyncio.sleep(_PIECE_S)

    task = asyncio.get_running_loop().create_task(feed_pieces())
    try:
        yield
        await task
    finally:
        task.cancel()
