"""A worker as a process, as an operator starts it: ``sessionizer run``, its directory and its log.

Decides how it is started, ended and read. Knows nothing of topics, nor why anybody starts it. Invariant: no
worker process outlives (on Linux) the program that started it; its directory and log stay, so that it may be
started again where it was.
"""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from testing.child_process import end_with_parent
from testing.wait import eventually


class WorkerProcess:
    """One ``sessionizer run``, with a state directory of its own that outlives it."""

    COMMAND = "run"

    def __init__(
        self, environment: Mapping[str, str], directory: Path, name: str, arguments: Sequence[str] = ()
    ) -> None:
        self.state_directory = directory / name
        self._environment = {
            **os.environ,
            **environment,
            "SESSIONIZER_STATE_DIRECTORY": str(self.state_directory),
        }
        self._log = directory / f"{name}.log"
        self._arguments = [self.COMMAND, *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self.name = name

    def start(self, module: str = "worker", variables: Mapping[str, str] | None = None) -> None:
        """Start it; returns at once.

        ``module``: another one that runs the command line. ``variables``: more environment, for this start.
        """
        assert self._process is None, f"{self.name} runs already"
        environment = {**self._environment, **(variables or {})}
        command = [sys.executable, "-m", module, *self._arguments]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(),
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
        return await asyncio.to_thread(self.stop_and_wait, timeout_s)

    def stop_and_wait(self, timeout_s: float) -> int:
        """The same outside an event loop. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        self.signal(signal.SIGTERM)
        code = self._process.wait(timeout_s)
        self._process = None
        return code

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
