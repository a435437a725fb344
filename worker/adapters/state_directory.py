"""The directory of one worker process: whose it is, its member id, and where each partition's store lies.

Invariant: one process a directory: it is locked for the life of the process. The member id lives beside the
state, so that a worker that comes back with its disk comes back under its name, and gets its partitions at
once (KIP-345).
"""

import fcntl
import secrets
from pathlib import Path
from typing import IO

from worker.errors import Fatal


class StateDirectory:
    """``<root>/<group>``: ``lock``, ``instance-id`` and one folder a partition."""

    def __init__(self, root: str, group_id: str) -> None:
        self.path = Path(root) / group_id
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Take it for this process. Raises Fatal when another one has it, or it cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
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
            raise Fatal(f"state.directory: {self.path} cannot be used: {error.strerror}") from error

    def unlock(self) -> None:
        """Let go of it."""
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
            raise Fatal(f"state.directory: {file} cannot be used: {error.strerror}") from error
        return kept

    def partition(self, partition: int) -> Path:
        """Where the partition's store lies."""
        return self.path / f"partition-{partition}"
