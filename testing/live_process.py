"""The live page as a process, as an operator starts it: ``sessionizer live``, its address and its log.

Decides where it listens, and when it counts as started. Knows nothing of what the page shows. Invariant: it
listens on the same address whenever it is started again.
"""

import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from testing.kafka.broker import free_ports
from testing.wait import wait_until
from testing.worker_process import WorkerProcess


class LiveProcess(WorkerProcess):
    """One ``sessionizer live`` on this machine's loopback address."""

    COMMAND = "live"

    def __init__(self, environment: Mapping[str, str], directory: Path, name: str = "live") -> None:
        """``environment``: at least brokers, topics and the collector's address."""
        (self.port,) = free_ports(1)
        address = {"SESSIONIZER_LIVE_LISTEN": f"127.0.0.1:{self.port}"}
        super().__init__({**environment, **address}, directory, name)
        self.url = f"http://127.0.0.1:{self.port}"

    def start_and_wait(self, timeout_s: float = 60.0) -> None:
        """Start it, and return as soon as it answers. TimeoutError, with its log, where it does not."""
        self.start()
        try:
            wait_until(lambda: not self.running or self._answers(), what="it answers", timeout_s=timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{self.raw_log()[-3000:]}") from None
        assert self.running, f"{self.name} ended:\n{self.raw_log()[-3000:]}"

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
