"""A state store that lives in memory: for trying things and for disks that cannot be had.

Restored whole from the changelog at every start. Invariant: as every store's, data and checkpoint move
together.
"""

from collections.abc import Iterable

from worker.model.state import Checkpoint
from worker.ports import StateRecord


class MemoryStore:
    """Implements ``ports.StateStore``."""

    def __init__(self) -> None:
        self._data: dict[bytes, bytes] = {}
        self._checkpoint: Checkpoint | None = None

    async def open(self) -> None:
        """Nothing to do."""

    def checkpoint(self) -> Checkpoint | None:
        """How far the store is."""
        return self._checkpoint

    def get(self, key: bytes) -> bytes | None:
        """The value of the key."""
        return self._data.get(key)

    def keys(self, first: bytes, end: bytes, limit: int) -> list[bytes]:
        """The keys from ``first`` on and below ``end``, in order; looks at every key."""
        return sorted(key for key in self._data if first <= key < end)[:limit]

    def write(self, records: Iterable[StateRecord], checkpoint: Checkpoint) -> None:
        """Apply records and checkpoint."""
        for key, value in records:
            if value is None:
                self._data.pop(key, None)
            else:
                self._data[key] = value
        self._checkpoint = checkpoint

    async def flush(self) -> None:
        """Memory does not survive a kill, whatever is done."""

    async def wipe(self) -> None:
        """Forget everything."""
        self._data.clear()
        self._checkpoint = None

    async def close(self) -> None:
        """Nothing to do."""
