"""A process that writes into a RocksDB store until it is killed.

``python -m tests.contract.dying_writer DIRECTORY``. Write n gives every key the value of n, and is reported
on stdout (``written n``, ``flushed n``). So a reader of the directory can tell which write it sees, and
whether it sees the whole of it.
"""

import asyncio
import itertools
import sys
from pathlib import Path

from worker.adapters.rocksdb_store import RocksDBMemory, RocksDBStore
from worker.model.state import Checkpoint, StateRecord

KEYS = [b"key-%d" % number for number in range(20)]
ONLY_AT_EVEN = b"only at even writes"
MEMORY_BYTES = 2 * 1024 * 1024  # so little that RocksDB flushes every 40 writes by itself, in the background
PACE_S = 0.001  # so slow that such a flush is over before the budget is overdrawn
WRITES_A_FLUSH = 200


def checkpoint_of(write: int) -> Checkpoint:
    """The checkpoint that goes with write n."""
    return Checkpoint(schema=1, incarnation="one", changelog_offset=write, written_at_ms=write)


def value_of(write: int) -> bytes:
    """What every key holds after write n."""
    return b"%d" % write * 400


def records_of(write: int) -> list[StateRecord]:
    """What write n consists of."""
    records: list[StateRecord] = [(key, value_of(write)) for key in KEYS]
    return [*records, (ONLY_AT_EVEN, None if write % 2 else b"even")]


async def write_until_killed(directory: Path) -> None:
    """Go on after the last write that is there."""
    store = RocksDBStore(directory, RocksDBMemory(MEMORY_BYTES))
    await store.open()
    last = store.checkpoint()
    for write in itertools.count(1 if last is None else last.changelog_offset + 1):
        store.write(records_of(write), checkpoint_of(write))
        tell("written", write)
        if write % WRITES_A_FLUSH == 0:
            await store.flush()
            tell("flushed", write)
        await asyncio.sleep(PACE_S)


def tell(what: str, write: int) -> None:
    """One line for whoever is going to kill us."""
    sys.stdout.write(f"{what} {write}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write_until_killed(Path(sys.argv[1])))
