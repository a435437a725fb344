"""Child processes that never outlive the program that started them, however that ends (on Linux)."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def end_with_parent() -> Callable[[], None] | None:
    """For ``preexec_fn``: the kernel kills the child when its parent has ended. None where it cannot."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def request_signal() -> None:
        set_parent_death_signal = 1
        libc.prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return request_signal


def started(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start a child whose output goes into ``log``."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=end_with_parent()
        )
