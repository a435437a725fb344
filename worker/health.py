"""The health file: the worker touches it while it makes progress, and probes read its age.

Decides what the age means. Knows nothing of progress: whoever touches the file decides that. The invariant: a
file touched within ``STALE_S`` means a worker that makes progress; whatever fails, the file grows old.
"""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

BEAT_S = 5.0
"""Time between two touches."""

STALE_S = 30.0
"""An older file means an unhealthy worker. On a busy machine several touches may be late."""


class Verdict(NamedTuple):
    """Whether the worker is healthy, and why."""

    healthy: bool
    reason: str


class HealthFile:
    """The health file at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """Make sure that it can be written, and remove it. Raises OSError where it cannot be written."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
        finally:
            os.close(descriptor)
        os.utime(self._path, (0, 0))
        self.remove()

    def touch(self) -> None:
        """Mark the worker as healthy now. Raises OSError where the file cannot be written."""
        self._path.touch()

    def follow(self, files: Sequence["HealthFile"]) -> None:
        """Make it as old as the oldest of these files. Where one is missing it is left to grow old.

        Raises OSError where it cannot be written.
        """
        try:
            oldest_ns = min(file._path.stat().st_mtime_ns for file in files)
        except FileNotFoundError:
            return
        self._path.touch()
        os.utime(self._path, ns=(oldest_ns, oldest_ns))

    def remove(self) -> None:
        """Remove it: no worker runs. Where it cannot be removed it is made as old as possible."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            with suppress(OSError):
                os.utime(self._path, (0, 0))

    def verdict(self, now_s: float) -> Verdict:
        """What the file means at ``now_s`` (seconds since the epoch)."""
        try:
            touched_s = self._path.stat().st_mtime
        except FileNotFoundError:
            return Verdict(False, f"{self._path} is missing: no worker runs, or it is still starting")
        except OSError as error:
            return Verdict(False, f"{self._path} cannot be read: {error.strerror}")
        return verdict(str(self._path), now_s - touched_s)


def verdict(name: str, age_s: float) -> Verdict:
    """What the age of the file means. Exactly ``STALE_S`` is healthy.

    A file from the future was touched before the clock was set back, so it counts as old.
    """
    if -STALE_S <= age_s <= STALE_S:
        return Verdict(True, f"healthy: {name} was touched {max(age_s, 0.0):.0f} s ago")
    age = f"{age_s:.0f} s old" if age_s > 0 else f"{-age_s:.0f} s ahead of the clock"
    return Verdict(False, f"{name} is {age}; a healthy worker touches it every {BEAT_S:.0f} s")
