"""The file that says that the worker is well: the worker touches it, probes look at its age.

Decides what its age means; what is well is decided by who touches it. The invariant: a file that was touched
within ``STALE_S`` means a worker that makes progress; whatever goes wrong, the file grows old.
"""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

BEAT_S = 5.0
"""Between two touches."""

STALE_S = 30.0
"""Older, and the worker is not well. Some beats may be late on a busy machine."""


class Verdict(NamedTuple):
    """Whether the worker is well, and the reason in words."""

    well: bool
    reason: str


class HealthFile:
    """The file at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """Make sure that it can be written, and let it say that no worker runs.

        Raises OSError where it cannot: a directory, a device, no rights, no place.
        """
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
        finally:
            os.close(descriptor)
        os.utime(self._path, (0, 0))
        self.remove()

    def touch(self) -> None:
        """Say that all is well now. Raises OSError where it cannot be written."""
        self._path.touch()

    def follow(self, files: Sequence["HealthFile"]) -> None:
        """Be as old as the oldest of these files; where one is missing, stay as it is and grow old.

        Raises OSError where it cannot be written.
        """
        try:
            oldest_ns = min(file._path.stat().st_mtime_ns for file in files)
        except FileNotFoundError:
            return
        self._path.touch()
        os.utime(self._path, ns=(oldest_ns, oldest_ns))

    def remove(self) -> None:
        """Say that no worker runs here. Where the file cannot be removed, it is as old as can be."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            with suppress(OSError):
                os.utime(self._path, (0, 0))

    def verdict(self, now_s: float) -> Verdict:
        """What the file says at ``now_s`` (seconds since the epoch)."""
        try:
            touched_s = self._path.stat().st_mtime
        except FileNotFoundError:
            return Verdict(False, f"{self._path} is missing: no worker runs, or it is still starting")
        except OSError as error:
            return Verdict(False, f"{self._path} cannot be read: {error.strerror}")
        return verdict(str(self._path), now_s - touched_s)


def verdict(name: str, age_s: float) -> Verdict:
    """What the age of the file means. Exactly ``STALE_S`` is still well.

    A file from the future is from before somebody set the clock back, so it is old as well.
    """
    if -STALE_S <= age_s <= STALE_S:
        return Verdict(True, f"fine: {name} was touched {max(age_s, 0.0):.0f} s ago")
    age = f"{age_s:.0f} s old" if age_s > 0 else f"{-age_s:.0f} s ahead of the clock"
    return Verdict(False, f"{name} is {age}; a worker that is well touches it every {BEAT_S:.0f} s")
