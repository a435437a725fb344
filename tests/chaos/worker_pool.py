"""The workers of a run, and the platform that restarts them.

Knows processes and their exits. Invariants: a worker that is wanted and has ended is started again after a
second; every end that no fault caused is noted, with the reason that this process of the worker logged.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from msgspec import Struct

from testing.worker_process import WorkerProcess
from tests.chaos.crashing_worker import EXIT_CODE, start_crashing
from tests.chaos.deployment import Deployment
from tests.chaos.journal import Journal

_RESTART_S = 1.0
_LOOK_S = 0.1


class Resources(Struct, frozen=True):
    """What a process uses of the machine."""

    sockets: int
    files: int
    threads: int
    rss_mb: float
    partitions: int


class WorkerPool:
    """Static workers, of whom the last is never killed; and an extra, dynamic one that comes and goes."""

    def __init__(
        self, deployment: Deployment, size: int, options: Mapping[str, str], journal: Journal
    ) -> None:
        """``options``: how workers reach the brokers."""
        self._journal = journal
        self._directory = deployment.directory
        self.workers = [deployment.worker(f"worker-{number}", options) for number in range(size)]
        self.extra = deployment.worker("extra", {**options, "KAFKA_GROUP_INSTANCE_ID": ""})
        self._wanted: set[str] = set()
        self.ends: Counter[str] = Counter()
        """Ends that no fault caused, by reason."""
        self.silent_ends: list[str] = []
        """Those that gave no reason, though the log could be written to."""
        self._failures_logged: Counter[str] = Counter()
        self._logs_full: set[str] = set()

    @property
    def survivor(self) -> WorkerProcess:
        """The one that is never killed."""
        return self.workers[-1]

    def start(self) -> None:
        """Start all but the extra one."""
        for worker in self.workers:
            self.keep_running(worker)

    def keep_running(self, worker: WorkerProcess) -> None:
        """Start it, and again whenever it ends; that it has ended may not have been noticed yet."""
        self._ended(worker)
        worker.start()
        self._wanted.add(worker.name)

    async def run_into(self, worker: WorkerProcess, point: str, passage: int, timeout_s: float) -> bool:
        """Start it, to end at a point of its work; whether it did, before anything else ended it.

        Afterwards it is restarted as ever.
        """
        start_crashing(worker, point, passage)
        for _ in range(round(timeout_s / _LOOK_S)):
            if not worker.running:
                break
            await asyncio.sleep(_LOOK_S)
        reached = worker.exit_code() == EXIT_CODE
        self._wanted.add(worker.name)
        return reached

    @contextmanager
    def disk_full(self, worker: WorkerProcess) -> Iterator[None]:
        """It can write nothing, its log included."""
        self._logs_full.add(worker.name)
        with worker.disk_full():
            yield

    def kill(self, worker: WorkerProcess) -> None:
        """SIGKILL; it stays down."""
        self._wanted.discard(worker.name)
        if worker.running:
            worker.kill()
        else:
            self._ended(worker)

    async def stop(self, worker: WorkerProcess, timeout_s: float = 20.0) -> int | None:
        """SIGTERM; its exit code, None where it had to be killed. It stays down."""
        self._wanted.discard(worker.name)
        if not worker.running:
            self._ended(worker)
            return None
        worker.signal(signal.SIGTERM)
        for _ in range(round(timeout_s / _LOOK_S)):
            if (code := worker.exit_code()) is not None:
                worker.reap()
                return code
            await asyncio.sleep(_LOOK_S)
        worker.kill()
        return None

    def state_of(self, worker: WorkerProcess) -> Path:
        """Its state directory."""
        return self._directory / worker.name

    async def restart_ended(self) -> None:
        """Start again what has ended. Until cancelled."""
        while True:
            for worker in [*self.workers, self.extra]:
                if worker.name in self._wanted and not worker.running:
                    self._ended(worker)
                    await asyncio.sleep(_RESTART_S)
                    if worker.name in self._wanted and not worker.running:
                        worker.start()
            await asyncio.sleep(_LOOK_S)

    def resources(self, worker: WorkerProcess) -> Resources | None:
        """What it uses now; None where it is gone."""
        with suppress(psutil.Error):
            process = psutil.Process(worker.pid)
            with process.oneshot():
                sockets = len(process.net_connections())
                return Resources(
                    sockets=sockets,
                    files=process.num_fds() - sockets,
                    threads=process.num_threads(),
                    rss_mb=round(process.memory_info().rss / 2**20, 1),
                    partitions=worker.partitions_running(),
                )
        return None

    def warnings(self) -> Counter[str]:
        """What the workers' logs warn of, by name; without what the client says."""
        lines = [line for worker in [*self.workers, self.extra] for line in worker.log()]
        loud = [line for line in lines if line["level"] in ("warning", "error") and "logger" not in line]
        return Counter(line["event"] for line in loud)

    def _ended(self, worker: WorkerProcess) -> None:
        """Take note of an end, and of the reason that its log gives."""
        code = worker.exit_code()
        if code is None:
            return
        worker.reap()
        reason = self._reason(worker) if code not in (EXIT_CODE, 0) else ""
        kind = "crash point" if code == EXIT_CODE else f"exit {code}"
        if code != EXIT_CODE:
            self.ends[f"{kind}: {reason}"] += 1
        self._journal.note("ended", worker=worker.name, code=code, reason=reason)

    def _reason(self, worker: WorkerProcess) -> str:
        """What it logged as the reason of this end; where it logged none, the end of its log."""
        failed = worker.log("worker.failed")
        known, self._failures_logged[worker.name] = self._failures_logged[worker.name], len(failed)
        log_was_full = worker.name in self._logs_full
        self._logs_full.discard(worker.name)
        if len(failed) > known:
            return str(failed[-1]["reason"])
        last_lines = worker.raw_log()[-500:]
        if log_was_full:
            return "unknown, its log could not be written"
        self.silent_ends.append(f"{worker.name}: {last_lines}")
        return f"none, the log ends: {last_lines}"
