"""A deployment under test: its topics, its traffic, its worker processes and what can be done to them.

Knows processes and topics; nothing of promises. Invariant: no worker process outlives the deployment that
started it, nor (on Linux) a test run that was killed itself.
"""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil  # type: ignore[import-untyped]
from aiokafka import TopicPartition
from msgspec import structs

from testing.kafka.broker import end_with_parent
from testing.wait import eventually
from tests.chaos.topics import committed_offsets, end_offsets
from worker.adapters.kafka import topics as kafka_topics
from worker.adapters.kafka.security import client_options
from worker.config import Config, load, topic_variables
from worker.demo.topics import feed
from worker.demo.traffic import RawRecord

_PIECE_S = 0.1


class WorkerProcess:
    """One ``sessionizer run``, with a state directory of its own that outlives it."""

    def __init__(
        self, environment: Mapping[str, str], directory: Path, name: str, arguments: Sequence[str] = ()
    ) -> None:
        self._environment = {
            **os.environ,
            **environment,
            "SESSIONIZER_STATE_DIRECTORY": str(directory / name),
        }
        self._log = directory / f"{name}.log"
        self._arguments = ["run", *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self.name = name

    def start(self, crash_at: str | None = None, on_passage: int = 1, module: str = "worker") -> None:
        """Start it; returns at once. ``crash_at``: a point of ``crashing_worker`` where it is to end.
        ``module``: another one that runs the command line.
        """
        assert self._process is None, f"{self.name} runs already"
        environment = self._environment
        if crash_at is not None:
            environment = {**environment, "CRASH_AT": crash_at, "CRASH_ON_PASSAGE": str(on_passage)}
            module = "tests.chaos.crashing_worker"
        command = [sys.executable, "-m", module, *self._arguments]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, preexec_fn=end_with_parent()
            )

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def exit_code(self) -> int | None:
        """Of a process that has ended; None while it runs or where none was started."""
        return None if self._process is None else self._process.poll()

    def reap(self) -> None:
        """Take note of its end, so that it may be started again."""
        self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    @contextmanager
    def disk_full(self) -> Iterator[None]:
        """It can write to no file, its log included, as long as the context lasts. Linux only.

        The limit is on the size of files, which RocksDB and Python meet as they meet a full disk.
        """
        pid, unlimited = self.pid, resource.RLIM_INFINITY
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, unlimited))
        yield
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))

    def kill(self) -> None:
        """SIGKILL: not a single instruction more."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    async def stop(self, timeout_s: float = 10.0) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended(timeout_s)

    async def ended(self, timeout_s: float = 30.0) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait, timeout_s)
        self._process = None
        return code

    def log(self, event: str | None = None) -> list[dict[str, Any]]:
        """Its log lines so far, or those of one event."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        parsed = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [line for line in parsed if event is None or line["event"] == event]

    def raw_log(self) -> str:
        """Everything it printed, for failure messages."""
        return self._log.read_text() if self._log.exists() else ""

    async def wait_for(self, event: str, count: int = 1, timeout_s: float = 60.0) -> None:
        """Wait until it has logged the event that many times."""

        async def logged_or_ended() -> bool:
            return len(self.log(event)) >= count or not self.running

        await eventually(logged_or_ended, what=f"{self.name} logs {event}", timeout_s=timeout_s)
        assert len(self.log(event)) >= count, f"{self.name} ended:\n{self.raw_log()[-3000:]}"

    def partitions_running(self) -> int:
        """How many partitions it runs, by its last status line."""
        status = self.log("worker.status")
        return int(status[-1]["partitions_running"]) if status else 0


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

    async def lag(self) -> int:
        """Records of the raw topic that the group has not committed."""
        servers = self.direct.kafka.bootstrap_servers
        committed = await committed_offsets(servers, self.config.kafka.group_id)
        lag = 0
        for number, end in (await end_offsets(servers, self.config.topics.raw)).items():
            lag += end - committed.get(TopicPartition(self.config.topics.raw, number), 0)
        return lag

    async def caught_up(self, timeout_s: float = 120.0) -> None:
        """Wait until the lag is 0. Fails at once when no worker is left."""
        async with asyncio.timeout(timeout_s):
            while await self.lag():
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
