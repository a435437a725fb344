"""A collector as a process, as an operator starts it: ``sessionizer collect``, its addresses and its log.

Decides where it listens, and when it counts as started. Knows nothing of requests, nor why anybody starts it.
Invariant: it listens on the same addresses whenever it is started again.
"""

import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from testing.kafka.broker import free_ports
from testing.wait import wait_until
from testing.worker_process import WorkerProcess


class CollectorProcess(WorkerProcess):
    """One ``sessionizer collect`` on this machine's loopback address."""

    COMMAND = "collect"

    def __init__(
        self,
        environment: Mapping[str, str],
        directory: Path,
        name: str = "collector",
        arguments: Sequence[str] = (),
    ) -> None:
        """``environment``: at least brokers, topics and write keys, or that none are needed."""
        self.port, self.admin_port = free_ports(2)
        addresses = {
            "SESSIONIZER_COLLECT_LISTEN": f"127.0.0.1:{self.port}",
            "SESSIONIZER_COLLECT_ADMIN_LISTEN": f"127.0.0.1:{self.admin_port}",
        }
        super().__init__({**environment, **addresses}, directory, name, arguments)
        self.url = f"http://127.0.0.1:{self.port}"

    def start_and_wait(self, timeout_s: float = 60.0, module: str = "worker") -> None:
        """Start it, and return as soon as ``/readyz`` is 200. TimeoutError, with its log, where it is not."""
        self.start(module)
        try:
            wait_until(self._is_ready_or_ended, what=f"{self.name} is ready", timeout_s=timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{self.raw_log()[-3000:]}") from None
        assert self.running, f"{self.name} ended:\n{self.raw_log()[-3000:]}"

    def processes(self) -> list[psutil.Process]:
        """Those that serve: itself, or the ones that it has started with ``--processes``."""
        itself = psutil.Process(self.pid)
        return itself.children() if "--processes" in self._arguments else [itself]

    def is_ready(self, slot: int = 0) -> bool:
        """Whether ``/readyz`` of the process in that slot answers 200 now."""
        url = f"http://127.0.0.1:{self.admin_port + slot}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _is_ready_or_ended(self) -> bool:
        return not self.running or self.is_ready()
