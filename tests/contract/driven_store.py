"""A store that tests can call without awaiting, on memory, on RocksDB and in the simulation."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.contract.dying_writer import checkpoint_of
from tests.simulation.client import Client
from tests.simulation.store import Disk, FakeStateStore
from tests.simulation.world import World
from worker.adapters.memory_store import MemoryStore
from worker.adapters.rocksdb_store import RocksDBMemory, RocksDBStore
from worker.model.state import StateRecord
from worker.ports import StateStore

T = TypeVar("T")
MIB = 1024 * 1024


class Driven:
    """A store whose coroutines are run to their end at once, so that a test reads as a list of calls."""

    def __init__(self, store: StateStore, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._store = store
        self._run = run
        self.checkpoint = store.checkpoint
        self.get = store.get
        self.keys = store.keys

    def open(self) -> "Driven":
        self._run(self._store.open())
        return self

    def write(self, records: Iterable[StateRecord], at: int) -> None:
        self._store.write(records, checkpoint_of(at))

    def flush(self) -> None:
        self._run(self._store.flush())

    def wipe(self) -> None:
        self._run(self._store.wipe())

    def close(self) -> None:
        self._run(self._store.close())


class MakeStore(Protocol):
    """Makes a store; every call one on the same disk, as a worker that is started again."""

    def __call__(self) -> Driven: ...


def step(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine of the simulation, where every wait is over at once."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration:
            return


def in_memory(directory: Path) -> MakeStore:
    return lambda: Driven(MemoryStore(), asyncio.run)


def on_rocksdb(directory: Path) -> MakeStore:
    memory = RocksDBMemory(8 * MIB)
    return lambda: Driven(RocksDBStore(directory / "store", memory), asyncio.run)


def simulated(directory: Path) -> MakeStore:
    disk = Disk()
    return lambda: Driven(FakeStateStore(Client(World(seed=1)), disk), step)
