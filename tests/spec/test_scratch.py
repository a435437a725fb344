"""Directories of brokers and workers under test go away, also where the program is asked to end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testing.scratch import scratch_directory

PROGRAM = """
import sys, time
from testing.scratch import scratch_directory

with scratch_directory("outer") as outer, scratch_directory("inner") as inner:
    (inner / "data").mkdir()
    print(outer, inner, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_asks_for_the_end_removes_every_directory(number: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=root, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        directories = [Path(os.fsdecode(name)) for name in program.stdout.readline().split()]
        assert [directory.is_dir() for directory in directories] == [True, True]
        program.send_signal(number)
        assert program.wait(20) == 128 + number
    assert [directory.exists() for directory in directories] == [False, False]


def test_a_handler_that_is_there_stays() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with scratch_directory("test"):
        assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getsignal(signal.SIGTERM) is before
