"""A state store in memory: for trials, and for machines without a disk.

It is restored whole from the changelog at every start. Knows nothing of what it stores. Invariant: data and
checkpoint move together, as in every store.
"""

from bisect import bisect_left
from collections.abc import Iterable

from worker.model.state import Checkpoint, StateRecord


class MemoryStore:
    """Implements ``ports.StateStore``."""

    def __init__(self) -> None:
        self._data: dict[bytes, bytes] = {}
        self._ordered: list[bytes] = []  # may hold keys that are gone
        self._new: set[bytes] = set()  # keys that it may lack
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
        """The keys from ``first`` on and below ``end``, in order."""
        if self._new:
            known = [key for key in self._ordered if key in self._data and key not in self._new]
            self._ordered = sorted(known + sorted(key for key in self._new if key in self._data))
            self._new.clear()
        found: list[bytes] = []
        for place in range(bisect_left(self._ordered, first), len(self._ordered)):
            key = self._ordered[place]
            if key >= end or len(found) == limit:
                break
            if key in self._data:
                found.append(key)
        return found

    def write(self, records: Iterable[StateRecord], checkpoint: Checkpoint) -> None:
        """Apply records and checkpoint."""
        for key, value in records:
            if value is None:
                self._data.pop(key, None)
            else:
                if key not in self._data:
                    self._new.add(key)
                self._data[key] = value
        self._checkpoint = checkpoint

    async def flush(self) -> None:
        """Do nothing: memory does not survive a kill."""

    async def wipe(self) -> None:
        """Delete everything."""
        self._data.clear()
        self._ordered.clear()
        self._new.clear()
        self._checkpoint = None

    async def close(self) -> None:
        """Nothing to do."""
