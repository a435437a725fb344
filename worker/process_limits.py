"""What this process uses of the machine, and how much it may use: memory, open files, access rights.

Knows nothing of the worker. The invariant: where the system does not say, nothing is assumed.
"""

import gc
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

_GC_THRESHOLDS = (50_000, 20, 10)
_CGROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def resident_mb() -> float:
    """Resident memory of this process in MiB; the peak where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_limit_mb() -> int | None:
    """The memory that this process may use, in MiB: the machine's, or less where a container has a limit.

    None where the system does not say.
    """
    try:
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (ValueError, OSError):
        return None
    limits += [limit for file in _limit_files(_CGROUP, _CGROUPS) if (limit := _bytes_in(file)) is not None]
    return min(limits) // 2**20


def _limit_files(own: Path, root: Path) -> Iterator[Path]:
    """The files with the memory limits of this process's control group and its parents."""
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


def raise_file_limit() -> int:
    """Raise the limit of open files to the greatest allowed, and return it.

    A store may have 70, a collector thousands of connections, and 1,024 is usual.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def keep_files_private() -> None:
    """Make the files that this process creates readable by its user only: the state holds people's ids."""
    os.umask(0o077)


def collect_garbage_seldom() -> None:
    """Search for reference cycles after 50,000 new objects instead of 700. A worker makes hardly any.

    Events, states and outputs are freed by reference counting. Searching them for cycles took a twentieth of
    the CPU time and freed nothing (2026-11-24).
    """
    gc.set_threshold(*_GC_THRESHOLDS)
