"""The simulated state store: without a log of its own, like RocksDB with its write-ahead log off.

Decides what is on a disk after a kill: everything flushed, and a prefix of the later writes, each whole or
not at all. Knows nothing of what is stored. Invariant: a disk belongs to one process at a time.
"""

from collections.abc import Iterable

from tests.simulation.client import Client
from worker.errors import StateCorrupted
from worker.model.state import Checkpoint, StateRecord


class Disk:
    """One store directory: all writes, and how many of them survive a kill for certain."""

    def __init__(self) -> None:
        self.writes: list[tuple[list[StateRecord], Checkpoint]] = []
        self.flushed = 0
        self.corrupt = False
        self.owner: Client | None = None

    def crash(self, survivors: int) -> None:
        """After a kill: of the writes after the last flush only the first ``survivors`` are kept."""
        del self.writes[self.flushed + survivors :]
        self.flushed = len(self.writes)
        self.owner = None

    def content(self) -> dict[bytes, bytes]:
        """What the store holds."""
        content: dict[bytes, bytes] = {}
        for records, _ in self.writes:
            apply(content, records)
        return content


class FakeStateStore:
    """A store on a ``Disk``, without a log of its own: the changelog is one."""

    def __init__(self, client: Client, disk: Disk) -> None:
        self._client = client
        self._disk = disk
        self._content: dict[bytes, bytes] = {}

    async def open(self) -> None:
        await self._client.pause()
        assert self._disk.owner in (None, self._client), "two processes in one directory"
        self._disk.owner = self._client
        self._check()
        self._content = self._disk.content()

    def checkpoint(self) -> Checkpoint | None:
        self._check()
        return self._disk.writes[-1][1] if self._disk.writes else None

    def get(self, key: bytes) -> bytes | None:
        self._check()
        return self._content.get(key)

    def keys(self, first: bytes, end: bytes, limit: int) -> list[bytes]:
        self._check()
        return sorted(key for key in self._content if first <= key < end)[:limit]

    def write(self, records: Iterable[StateRecord], checkpoint: Checkpoint) -> None:
        self._check()
        records = list(records)
        self._disk.writes.append((records, checkpoint))
        apply(self._content, records)

    async def flush(self) -> None:
        await self._client.pause()
        self._check()
        self._disk.flushed = len(self._disk.writes)

    async def wipe(self) -> None:
        await self._client.pause()
        self._disk.writes, self._disk.flushed, self._disk.corrupt = [], 0, False
        self._content = {}

    async def close(self) -> None:
        await self._client.pause()
        if self._disk.owner is self._client:
            self._disk.flushed = len(self._disk.writes)
            self._disk.owner = None

    def _check(self) -> None:
        self._client.check()
        if self._disk.corrupt:
            raise StateCorrupted("bits have flipped")


def apply(content: dict[bytes, bytes], records: Iterable[StateRecord]) -> None:
    """Apply these records to ``content``."""
    for key, value in records:
        if value is None:
            content.pop(key, None)
        else:
            content[key] = value
