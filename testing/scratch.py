"""Directories that go away with the program that uses them.

Decides how a program ends that was asked to end: by SIGTERM and SIGHUP as by an interrupt, so that every
context that is open is closed, brokers and directories among them. Only SIGKILL leaves a directory behind.
"""

import contextlib
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def scratch_directory(name: str) -> Iterator[Path]:
    """A fresh directory, ``sessionizer-<name>-...``, for the length of the block."""
    with ended_in_order(), tempfile.TemporaryDirectory(prefix=f"sessionizer-{name}-") as directory:
        yield Path(directory)


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP raise SystemExit (128 + the signal's number) in the main thread during the block.

    Where the program has a handler of its own, or ignores the signal, that stays.
    """
    handled = [
        number
        for number in SIGNALS
        if threading.current_thread() is threading.main_thread()
        and signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in handled:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def _exit(number: int, _: FrameType | None) -> None:
    for each in SIGNALS:  # a second one must not interrupt the end
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)
