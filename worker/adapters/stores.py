"""The state stores of one process, as configured: which kind, in which directory, with how much memory.

The one place that knows which kinds of stores there are (``state.store``), and how ``state.memory_mb`` is
divided. Knows nothing of what is in a store. Invariant: where nothing survives on disk, nothing is said to.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from worker.adapters.memory_store import MemoryStore
from worker.adapters.rocksdb_store import RocksDBMemory, RocksDBStore
from worker.adapters.state_directory import StateDirectory
from worker.config import State
from worker.ports import StateStore


class Stores:
    """Makes the stores, one a partition.

    Of ``state.memory_mb`` half is for the live states of devices, ``live_states_bytes``. The other half is
    RocksDB's: a quarter for blocks read, a quarter for writes not yet on disk. In memory the store takes
    what it takes, beside that budget.
    """

    def __init__(self, options: State) -> None:
        memory_bytes = options.memory_mb * 1024 * 1024
        self.live_states_bytes = memory_bytes // 2
        self._rocksdb = RocksDBMemory(memory_bytes // 2) if options.store == "rocksdb" else None

    def of_partition(self, directory: StateDirectory, partition: int) -> StateStore:
        """The store of a partition, not yet opened, in the process's directory."""
        return self.at(directory.partition(partition), partial(directory.note_flushed, partition))

    def at(self, path: Path, on_flush: Callable[[int], None] | None = None) -> StateStore:
        """A store in a directory of its own, not yet opened.

        ``on_flush`` is called, in any thread, with the changelog offset that the disk has reached.
        """
        return MemoryStore() if self._rocksdb is None else RocksDBStore(path, self._rocksdb, on_flush)

    def offsets_on_disk(self, directory: StateDirectory) -> dict[int, int]:
        """Partition -> the changelog offset that its store on disk has reached."""
        return {} if self._rocksdb is None else directory.flushed_offsets()
