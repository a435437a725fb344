"""What this process takes of the machine, and what it may take."""

import gc
import os
import resource
from pathlib import Path

_GC_THRESHOLDS = (50_000, 20, 10)


def resident_mb() -> float:
    """Resident memory of this process, in MiB; the peak where /proc is not there."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def raise_file_limit() -> None:
    """Take as many open files as the system grants: a store may hold 70, and the usual limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def keep_files_private() -> None:
    """Let no other user read what this process writes from now on: the state holds people's ids."""
    os.umask(0o077)


def collect_garbage_seldom() -> None:
    """Look for reference cycles after 50,000 new objects instead of 700. A worker makes hardly any.

    Events, states and outputs come by the thousand and go by reference counting; looking through them for
    cycles was a twentieth of all its CPU time, at no less memory (2026-11-24).
    """
    gc.set_threshold(*_GC_THRESHOLDS)
