"""The supervisor with real processes that are no workers: what it does whatever they are."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from testing.wait import wait_until
from tests.chaos.deployment import gone

SUPERVISOR = """
import os, sys
from worker import log_output
from worker.processes import supervisor
from worker.processes.slots import Slot
log_output.configure("json", "info")
command = (sys.executable, "-c", sys.argv[2])
slots = [Slot(n, (*command, str(n)), dict(os.environ), None) for n in range(int(sys.argv[1]))]
sys.exit(supervisor.run(slots, None))
"""

WAITS = "import time; print('up', flush=True); time.sleep(600)"
COUNTS_SIGNALS = """
import signal, sys, time
def end(number, frame):
    print(signal.Signals(number).name, flush=True)
    time.sleep(0.5)  # another one would be counted as well
    sys.exit(0)
signal.signal(signal.SIGTERM, end); signal.signal(signal.SIGINT, end)
print('up', flush=True)
time.sleep(600)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('up', flush=True)
time.sleep(600)
"""
BUSY_WITH_LIFELINE = """
from worker.processes.lifeline import end_with_supervisor
end_with_supervisor(0)
print('up', flush=True)
while True: pass
"""
LONG_LINES = """
import sys, time
for _ in range(100):
    print(sys.argv[1] * 20_000, flush=True)
    print(sys.argv[1] * 9_000, file=sys.stderr, flush=True)
time.sleep(600)
"""
WRONG_IN_SLOT_1 = "import sys, time; sys.exit(2) if sys.argv[1] == '1' else time.sleep(600)"


@dataclass
class Supervised:
    """A supervisor with its children, and who writes down what they say."""

    process: "subprocess.Popen[bytes]"
    reader: "subprocess.Popen[bytes]"
    log: Path
    children: list[psutil.Process]

    def lines(self) -> list[str]:
        return self.log.read_text().rpartition("\n")[0].splitlines()

    def wait_for_reader(self) -> None:
        """All that was said is in the file."""
        self.reader.wait(10)

    def wait_until_up(self, count: int) -> list[psutil.Process]:
        """The children, once so many have said that they are up."""
        wait_until(lambda: self.lines().count("up") >= count, what=f"{count} processes are up")
        children: list[psutil.Process] = psutil.Process(self.process.pid).children()
        self.children += children
        return children


class Start:
    """Starts supervisors, each in a process group of its own."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "log"
        self.started: list[subprocess.Popen[bytes]] = []
        self.children: list[psutil.Process] = []

    def __call__(self, count: int, child: str) -> Supervised:
        with self._log.open("wb") as log:  # through a pipe, as an engine reads it: only pipes tear lines
            reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)
        assert reader.stdin is not None
        with reader.stdin as pipe:
            process = subprocess.Popen(
                [sys.executable, "-c", SUPERVISOR, str(count), child],
                stdout=pipe,
                stderr=pipe,
                process_group=0,
            )
        self.started += [process, reader]
        return Supervised(process, reader, self._log, self.children)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """No process of a test outlives it, whatever the supervisor does."""
    start = Start(tmp_path)
    yield start
    for process in start.started:
        if process.poll() is None:
            process.kill()
        process.wait()
    for child in start.children:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def test_sigterm_ends_all_and_the_exit_code_is_0(start: Start) -> None:
    supervised = start(3, WAITS)
    children = supervised.wait_until_up(3)
    assert len(children) == 3
    supervised.process.terminate()
    assert supervised.process.wait(10) == 0
    assert gone(children)


def test_ctrl_c_reaches_each_process_exactly_once(start: Start) -> None:
    """A terminal sends it to the whole group of the foreground; the children are not of that group."""
    supervised = start(2, COUNTS_SIGNALS)
    supervised.wait_until_up(2)
    os.killpg(supervised.process.pid, signal.SIGINT)
    assert supervised.process.wait(10) == 0
    supervised.wait_for_reader()
    assert [line for line in supervised.lines() if line.startswith("SIG")] == ["SIGTERM", "SIGTERM"]


def test_a_process_that_does_not_end_when_asked_is_killed_and_the_exit_code_says_so(start: Start) -> None:
    supervised = start(2, DEAF)
    children = supervised.wait_until_up(2)
    supervised.process.terminate()
    assert supervised.process.wait(20) == 1
    assert gone(children)


def test_a_killed_process_is_started_again_beside_the_others(start: Start) -> None:
    supervised = start(2, WAITS)
    killed, kept = supervised.wait_until_up(2)
    killed.kill()
    children = supervised.wait_until_up(3)
    assert kept in children
    assert len(children) == 2
    assert any('"process.exited"' in line and '"exit_code": -9' in line for line in supervised.lines())
    supervised.process.terminate()
    assert supervised.process.wait(10) == 0


def test_a_process_with_a_wrong_configuration_ends_the_whole_at_once(start: Start) -> None:
    supervised = start(3, WRONG_IN_SLOT_1)
    assert supervised.process.wait(10) == 2
    supervised.wait_for_reader()
    (failed,) = [line for line in supervised.lines() if '"worker.failed"' in line]
    assert "slot 1 ended once, at last with exit code 2" in failed
    assert sum('"process.started"' in line for line in supervised.lines()) == 3


def test_no_process_outlives_a_supervisor_that_is_killed(start: Start) -> None:
    supervised = start(2, BUSY_WITH_LIFELINE)
    children = supervised.wait_until_up(2)
    supervised.process.kill()
    supervised.process.wait()
    wait_until(lambda: gone(children), what="the children are gone", timeout_s=10)


def test_lines_of_any_length_are_never_torn(start: Start) -> None:
    """Three processes write at once, more than a pipe holds: every line is of one process."""
    supervised = start(3, LONG_LINES)
    letters = [set(str(slot)) for slot in range(3)]

    def written() -> list[str]:
        return [line for line in supervised.lines() if line.strip("012") == ""]

    wait_until(lambda: len(written()) >= 600, what="all lines are there")
    assert all(set(line) in letters for line in written())
    assert sorted({len(line) for line in written()}) == [9_000, 20_000]
    supervised.process.terminate()
    assert supervised.process.wait(10) == 0


def test_a_log_whose_disk_is_full_stops_no_process(tmp_path: Path) -> None:
    """Linux gives a device that is always full."""
    up = tmp_path / "up"
    child = (
        f"import pathlib, time; print('up', flush=True); pathlib.Path({str(up)!r}).touch(); time.sleep(600)"
    )
    with Path("/dev/full").open("wb") as full:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, "1", child], stdout=full, stderr=subprocess.PIPE
        )
    try:
        wait_until(up.exists, what="the process has spoken")
        (process,) = psutil.Process(supervisor.pid).children()
        assert process.is_running()
        supervisor.terminate()
        _, said = supervisor.communicate(timeout=20)
        assert (supervisor.returncode, said) == (0, b"")
    finally:
        supervisor.kill()
        supervisor.wait()
