"""The directory of one worker process: its lock, its member id, and the path of each partition's store.

Decides who may use it and which stores are too old to keep. The member id is kept beside the state, so that a
worker that returns with its disk returns under its name, and gets its partitions at once (KIP-345). Stores of
partitions that moved to another worker stay for a while, so that they can be restored quickly when they
return; a note beside each says how far it is, which is a hint and never the truth. Invariants: one process
a directory, which is locked as long as the process runs; no other user of the machine can read it, for it
holds people's ids.
"""

import fcntl
import secrets
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from worker.errors import Fatal

_PREFIX = "partition-"
_FLUSHED = "reached"  # the name in directories that exist
_OURS_ALONE = 0o700


class StateDirectory:
    """``<root>/<group>``: ``lock``, ``instance-id`` and one folder a partition."""

    def __init__(self, root: str, group_id: str) -> None:
        self.path = Path(root) / group_id
        self._lock: IO[str] | None = None

    def prepare(self) -> None:
        """Create it, and make sure that it can be written and that no other user can read it.

        Raises Fatal where it cannot be used.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with suppress(PermissionError):  # of another user, who granted us access by the group
                self.path.chmod(_OURS_ALONE)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise _unusable(self.path, error) from error

    def lock(self) -> None:
        """Lock it for this process. Raises Fatal when another process has it, or it cannot be used."""
        self.prepare()
        try:
            self._lock = (self.path / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.unlock()
            raise Fatal(
                f"state.directory: {self.path} is in use by another worker: give each worker a directory "
                "of its own"
            ) from error
        except OSError as error:
            self.unlock()
            raise _unusable(self.path, error) from error

    def unlock(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def instance_id(self, configured: str, group_id: str) -> str | None:
        """The static member id: made once and kept for ``auto``, None for empty, else as configured.

        Raises Fatal when it cannot be kept. Call it with the lock held.
        """
        if configured != "auto":
            return configured or None
        file = self.path / "instance-id"
        try:
            kept = file.read_text().strip() if file.exists() else ""
            if not kept:  # or the process died while it was writing it
                kept = f"{group_id}-{secrets.token_hex(4)}"
                file.write_text(kept + "\n")
        except OSError as error:
            raise _unusable(file, error) from error
        return kept

    def partition(self, partition: int) -> Path:
        """The path of the partition's store."""
        return self.path / f"{_PREFIX}{partition}"

    def note_flushed(self, partition: int, changelog_offset: int) -> None:
        """Note beside a store how far it is on disk."""
        with suppress(OSError):
            (self.partition(partition) / _FLUSHED).write_text(f"{changelog_offset}\n")

    def flushed_offsets(self) -> dict[int, int]:
        """Partition -> the changelog offset that its store here had reached when it was last flushed."""
        offsets = {}
        for partition, directory in self._partitions():
            with suppress(OSError, ValueError):  # being removed, or half written
                offsets[partition] = int((directory / _FLUSHED).read_text())
        return offsets

    def remove_old(self, in_use: Collection[int], max_age_s: float) -> dict[int, float]:
        """Remove the stores that are not in use and were not written for so long: they would be wiped.

        Returns partition -> age in seconds.
        """
        removed = {}
        for partition, directory in self._partitions():
            if partition in in_use:
                continue
            with suppress(OSError):
                age_s = time.time() - max(file.stat().st_mtime for file in [directory, *directory.iterdir()])
                if age_s > max_age_s:
                    shutil.rmtree(directory)
                    removed[partition] = age_s
        return removed

    def _partitions(self) -> Iterator[tuple[int, Path]]:
        for directory in self.path.glob(f"{_PREFIX}*"):
            number = directory.name.removeprefix(_PREFIX)
            if number.isdecimal() and directory.is_dir():
                yield int(number), directory


def _unusable(path: Path, error: OSError) -> Fatal:
    return Fatal(f"state.directory: {path} cannot be used: {error.strerror}")
