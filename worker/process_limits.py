"""What this process takes of the machine, and what it may take."""

import gc
import os
import resource
from collections.abc import Iterator
from pathlib import Path

_GC_THRESHOLDS = (50_000, 20, 10)
_CGROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def resident_mb() -> float:
    """Resident memory of this process, in MiB; the peak where /proc is not there."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_limit_mb() -> int | None:
    """The memory that this process may use, in MiB: the machine's, or less where a container has a limit of
    its own. None where it cannot be found out.
    """
    try:
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (ValueError, OSError):
        return None
    limits += [limit for file in _limit_files(_CGROUP, _CGROUPS) if (limit := _bytes_in(file)) is not None]
    return min(limits) // 2**20


def _limit_files(own: Path, root: Path) -> Iterator[Path]:
    """Where the limits of our control group and of all above it may stand. ``own``: /proc/self/cgroup."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = base / path.lstrip("/")
        yield from (place / name for place in (group, *group.parents) if place.is_relative_to(base))


def _bytes_in(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # no such limit, or "max"
        return None


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
