"""What this process takes of the machine, and what it may take."""

import resource
from pathlib import Path


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
