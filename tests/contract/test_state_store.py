"""What a state store is: said once, and held against memory, RocksDB and the simulation's own.

Then what only a disk can do to a store: to be killed, to rot, to be locked, to fill the memory.
"""

import asyncio
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from tests.contract.dying_writer import KEYS, ONLY_AT_EVEN, WRITES_A_FLUSH, checkpoint_of, value_of
from tests.simulation.life import Life
from tests.simulation.store import Disk, FakeStateStore
from tests.simulation.world import World
from worker.adapters.memory_store import MemoryStore
from worker.adapters.rocksdb_store import RocksDBMemory, RocksDBStore
from worker.errors import Fatal, StateCorrupted
from worker.model.state import Checkpoint
from worker.ports import StateRecord, StateStore

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
    return lambda: Driven(FakeStateStore(Life(World(seed=1)), disk), step)


@pytest.fixture(params=[in_memory, on_rocksdb, simulated])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    made: MakeStore = request.param(tmp_path)
    return made


@pytest.fixture(params=[on_rocksdb, simulated])
def make_lasting_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Those that outlive their process."""
    made: MakeStore = request.param(tmp_path)
    return made


@pytest.fixture
def store(make_store: MakeStore) -> Iterator[Driven]:
    """A new store, open."""
    opened = make_store().open()
    yield opened
    opened.close()


# --- what every store is ---


def test_a_new_store_is_empty_and_has_no_checkpoint(store: Driven) -> None:
    assert store.checkpoint() is None
    assert store.get(b"key") is None


def test_what_was_written_is_there_at_once_with_its_checkpoint(store: Driven) -> None:
    store.write([(b"a", b"1"), (b"b", b"2")], at=7)
    assert (store.get(b"a"), store.get(b"b")) == (b"1", b"2")
    assert store.checkpoint() == checkpoint_of(7)


def test_the_last_write_of_a_key_counts_also_within_one_write(store: Driven) -> None:
    store.write([(b"a", b"1"), (b"b", b"1"), (b"b", None)], at=1)
    store.write([(b"a", b"2"), (b"a", b"3")], at=2)
    assert (store.get(b"a"), store.get(b"b")) == (b"3", None)


def test_none_deletes_a_key_and_an_empty_value_does_not(store: Driven) -> None:
    store.write([(b"deleted", b"1"), (b"emptied", b"1")], at=1)
    store.write([(b"deleted", None), (b"emptied", b""), (b"never there", None)], at=2)
    assert store.get(b"deleted") is None
    assert store.get(b"emptied") == b""
    assert store.get(b"never there") is None


def test_keys_and_values_may_be_any_bytes(store: Driven) -> None:
    records = [(bytes([byte]) * 3, bytes([255 - byte]) * byte) for byte in range(256)]
    store.write(records, at=1)
    assert [(key, store.get(key)) for key, _ in records] == records


def test_keys_are_those_from_the_first_on_and_below_the_end_in_order(store: Driven) -> None:
    store.write([(key, b"") for key in (b"tc", b"tb\xff", b"tb", b"td", b"tb\x00", b"ta", b"te")], at=1)
    assert store.keys(b"tb", b"td", 10) == [b"tb", b"tb\x00", b"tb\xff", b"tc"]
    assert store.keys(b"ta\x00", b"tb\x00", 10) == [b"tb"], "neither bound need be there"
    assert store.keys(b"td", b"td", 10) == []
    assert store.keys(b"td", b"ta", 10) == []
    assert store.keys(b"u", b"v", 10) == []


def test_keys_are_at_most_as_many_as_asked_for_and_the_first_ones(store: Driven) -> None:
    store.write([(b"t%d" % number, b"") for number in (3, 1, 2)], at=1)
    assert store.keys(b"t", b"u", 2) == [b"t1", b"t2"]
    assert store.keys(b"t", b"u", 3) == [b"t1", b"t2", b"t3"]
    assert store.keys(b"t", b"u", 0) == []


def test_a_deleted_key_is_no_longer_among_the_keys_nor_counted_by_the_limit(store: Driven) -> None:
    store.write([(b"t%d" % number, b"") for number in range(5)], at=1)
    assert len(store.keys(b"t", b"u", 10)) == 5
    store.write([(b"t0", None), (b"t2", None)], at=2)
    assert store.keys(b"t", b"u", 2) == [b"t1", b"t3"]
    store.write([(b"t1", b"again"), (b"t2", b"again"), (b"t4", b""), (b"t4", None)], at=3)
    assert store.keys(b"t", b"u", 10) == [b"t1", b"t2", b"t3"]


def test_a_wiped_store_has_no_keys(store: Driven) -> None:
    store.write([(b"t1", b""), (b"t2", b"")], at=1)
    assert store.keys(b"t", b"u", 10) == [b"t1", b"t2"]
    store.write([(b"t0", b"")], at=2)
    store.wipe()
    assert store.keys(b"t", b"u", 10) == []
    store.write([(b"t2", b"")], at=3)
    assert store.keys(b"t", b"u", 10) == [b"t2"]


def test_keys_are_the_same_in_whatever_order_they_came_and_went(store: Driven) -> None:
    chance = random.Random(1)
    there: set[bytes] = set()
    for write in range(1, 60):
        records: list[StateRecord] = []
        for _ in range(chance.randrange(6)):
            key = b"t" + bytes([chance.randrange(24)])
            records.append((key, None if chance.random() < 0.4 else b""))
            (there.discard if records[-1][1] is None else there.add)(key)
        store.write(records, at=write)
        if chance.random() < 0.2:
            store.flush()
        first, end = (b"t" + bytes([chance.randrange(25)]) for _ in range(2))
        limit = chance.randrange(8)
        assert store.keys(first, end, limit) == sorted(key for key in there if first <= key < end)[:limit]


def test_a_write_without_records_moves_the_checkpoint_alone(store: Driven) -> None:
    store.write([(b"a", b"1")], at=1)
    store.write([], at=2)
    assert store.get(b"a") == b"1"
    assert store.checkpoint() == checkpoint_of(2)


def test_a_wiped_store_is_empty_and_usable(store: Driven) -> None:
    store.write([(b"a", b"1"), (b"b", b"1")], at=1)
    store.flush()
    store.wipe()
    assert (store.get(b"a"), store.checkpoint()) == (None, None)
    store.write([(b"b", b"2")], at=2)
    store.flush()
    assert (store.get(b"a"), store.get(b"b"), store.checkpoint()) == (None, b"2", checkpoint_of(2))


def test_closing_twice_and_flushing_nothing_are_allowed(make_store: MakeStore) -> None:
    store = make_store().open()
    store.flush()
    store.close()
    store.close()


# --- what every store on a disk is ---


def test_data_and_checkpoint_survive_a_reopening_together(make_lasting_store: MakeStore) -> None:
    first = make_lasting_store().open()
    first.write([(b"a", b"1"), (b"b", b"1")], at=1)
    first.flush()
    first.write([(b"a", None), (b"b", b"2")], at=2)
    first.close()

    second = make_lasting_store().open()
    assert (second.get(b"a"), second.get(b"b"), second.checkpoint()) == (None, b"2", checkpoint_of(2))
    second.close()


def test_keys_survive_a_reopening(make_lasting_store: MakeStore) -> None:
    first = make_lasting_store().open()
    first.write([(b"t3", b""), (b"t1", b""), (b"t2", b"")], at=1)
    first.flush()
    first.write([(b"t2", None), (b"t0", b"")], at=2)
    first.close()

    second = make_lasting_store().open()
    assert second.keys(b"t", b"u", 10) == [b"t0", b"t1", b"t3"]
    second.write([(b"t1", None), (b"t4", b"")], at=3)
    assert second.keys(b"t0\x00", b"u", 10) == [b"t3", b"t4"]
    second.close()


def test_a_wipe_survives_a_reopening(make_lasting_store: MakeStore) -> None:
    first = make_lasting_store().open()
    first.write([(b"a", b"1")], at=1)
    first.wipe()
    first.close()

    second = make_lasting_store().open()
    assert (second.get(b"a"), second.checkpoint()) == (None, None)
    second.close()


# --- RocksDB: kills ---


@contextmanager
def writer_in(directory: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that writes there; killed at the end, whatever it is doing."""
    command = [sys.executable, "-m", "tests.contract.dying_writer", str(directory)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_after_a_kill_all_of_a_write_is_there_or_none_of_it_with_the_checkpoint_in_step(
    tmp_path: Path,
) -> None:
    before = 0
    for kill in range(3):
        with writer_in(tmp_path / "store") as writer:
            flushed = last_flushed_of(writer, before + WRITES_A_FLUSH + 70 * (kill + 1))
        store = on_rocksdb(tmp_path)().open()
        checkpoint = store.checkpoint()
        assert checkpoint is not None
        write = checkpoint.changelog_offset
        assert write >= flushed > before, "what was flushed survives"
        assert checkpoint == checkpoint_of(write)
        assert {store.get(key) for key in KEYS} == {value_of(write)}
        assert store.get(ONLY_AT_EVEN) == (None if write % 2 else b"even")
        store.close()
        before = write


def last_flushed_of(writer: "subprocess.Popen[str]", write: int) -> int:
    """Wait for that write; the last one that was flushed before it."""
    assert writer.stdout is not None
    flushed = 0
    for line in writer.stdout:
        what, number = line.split()
        if what == "flushed":
            flushed = int(number)
        elif int(number) >= write:
            break
    return flushed


# --- RocksDB: locks ---


def test_a_directory_that_another_process_holds_is_refused_in_one_line(tmp_path: Path) -> None:
    with writer_in(tmp_path / "store") as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(Fatal) as refusal:
            on_rocksdb(tmp_path)().open()
    assert "state.directory" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_directory_that_this_process_holds_is_refused_too(tmp_path: Path) -> None:
    make = on_rocksdb(tmp_path)
    holder = make().open()
    with pytest.raises(Fatal, match="in use"):
        make().open()
    holder.close()
    make().open().close()


# --- RocksDB: a machine that has no more to give ---


@contextmanager
def limited(what: int, soft: int) -> Iterator[None]:
    """The process may have no more than that."""
    before, hard = resource.getrlimit(what)
    resource.setrlimit(what, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (before, hard))


def test_a_lack_of_file_handles_is_no_fault_of_the_data(tmp_path: Path) -> None:
    store = on_rocksdb(tmp_path)().open()
    store.write([(b"a", b"1")], at=1)
    store.close()
    with Path(os.devnull).open() as lowest_unused:
        limit = lowest_unused.fileno() + 8  # three for the event loop, and RocksDB needs six
    with limited(resource.RLIMIT_NOFILE, limit), pytest.raises(Fatal, match="ulimit -n"):
        on_rocksdb(tmp_path)().open()
    reopened = on_rocksdb(tmp_path)().open()
    assert reopened.get(b"a") == b"1"
    reopened.close()


def test_a_disk_that_takes_no_more_is_no_fault_of_the_data(tmp_path: Path) -> None:
    store = on_rocksdb(tmp_path)().open()
    store.write([(b"a", b"1")], at=1)
    store.flush()
    with limited(resource.RLIMIT_FSIZE, 64 * 1024):
        store.write([(b"b", random.Random(1).randbytes(MIB))], at=2)
        with pytest.raises(Fatal, match="state directory"):
            store.flush()
        store.close()
    reopened = on_rocksdb(tmp_path)().open()
    assert (reopened.get(b"a"), reopened.get(b"b"), reopened.checkpoint()) == (b"1", None, checkpoint_of(1))
    reopened.close()


# --- RocksDB: rot ---

_HALF = 400  # writes of one key each, so that the two files of a store differ in every key


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a closed store: writes 1 and 2, each flushed into a file of its own."""
    directory = tmp_path_factory.mktemp("healthy")
    store = on_rocksdb(directory)().open()
    for write in (1, 2):
        store.write([(b"%d" % key, value_of(write)) for key in range(_HALF)], at=write)
        store.flush()
    store.close()
    return directory / "store"


def one_byte(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def a_stretch(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    content[start : start + 64] = chance.randbytes(len(content[start : start + 64]))


def the_end(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def everything(content: bytearray, chance: random.Random) -> None:
    content.clear()


def damage(directory: Path, pattern: str, how: Callable[[bytearray, random.Random], None], seed: int) -> None:
    chance = random.Random(seed)
    file = chance.choice(sorted(directory.glob(pattern)))
    content = bytearray(file.read_bytes())
    how(content, chance)
    file.write_bytes(content)


def seen_in(store: Driven) -> tuple[Checkpoint | None, set[bytes | None]]:
    return store.checkpoint(), {store.get(b"%d" % key) for key in range(_HALF)}


@pytest.mark.parametrize("how", [one_byte, a_stretch, the_end, everything])
@pytest.mark.parametrize(
    "pattern", ["*.sst", "MANIFEST-*", "CURRENT", "OPTIONS-*", "rocksdict-config.json", "IDENTITY"]
)
def test_a_damaged_store_says_so_or_is_an_earlier_state_of_itself_but_never_wrong(
    healthy: Path, tmp_path: Path, pattern: str, how: Callable[[bytearray, random.Random], None]
) -> None:
    states = [(None, {None}), *((checkpoint_of(write), {value_of(write)}) for write in (1, 2))]
    for seed in range(4):
        shutil.copytree(healthy, tmp_path / "store")
        damage(tmp_path / "store", pattern, how, seed)
        store = on_rocksdb(tmp_path)()
        with suppress(StateCorrupted):
            assert seen_in(store.open()) in states
        store.wipe()
        assert store.checkpoint() is None
        store.close()
        shutil.rmtree(tmp_path / "store")


def test_a_file_that_rotted_away_is_found_at_the_latest_by_the_read_that_needs_it(
    healthy: Path, tmp_path: Path
) -> None:
    shutil.copytree(healthy, tmp_path / "store")
    for file in (tmp_path / "store").glob("*.sst"):
        content = file.read_bytes()
        file.write_bytes(
            bytes(byte ^ 0xFF for byte in content[: len(content) // 2]) + content[len(content) // 2 :]
        )
    store = on_rocksdb(tmp_path)()
    with pytest.raises(StateCorrupted, match="store: "):
        seen_in(store.open())
    store.wipe()
    store.close()


def test_a_store_whose_files_were_taken_away_while_it_was_open_can_be_wiped(tmp_path: Path) -> None:
    store = on_rocksdb(tmp_path)().open()
    store.write([(b"a", b"1")], at=1)
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(StateCorrupted):
        store.flush()
    store.wipe()
    store.write([(b"a", b"2")], at=2)
    store.close()
    reopened = on_rocksdb(tmp_path)().open()
    assert reopened.get(b"a") == b"2"
    reopened.close()


# --- RocksDB: memory ---


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_64_stores_share_one_memory_budget_however_fast_they_are_written(tmp_path: Path) -> None:
    budget_bytes, batch_bytes = 16 * MIB, 400 * 1000
    memory = RocksDBMemory(budget_bytes)
    stores = [
        Driven(RocksDBStore(tmp_path / str(number), memory), asyncio.run).open() for number in range(64)
    ]
    before = resident_bytes()
    most_buffered = most_cached = 0
    for write in range(4):
        values = incompressible_values(batch_bytes // 1000, seed=write)
        for store in stores:
            store.write([(b"%d-%d" % (write, key), value) for key, value in enumerate(values)], at=write)
            most_buffered = max(most_buffered, memory.write_buffers.get_usage())
    for write in range(4):
        values = incompressible_values(batch_bytes // 1000, seed=write)
        for store in stores:
            for key in range(0, len(values), 20):
                assert store.get(b"%d-%d" % (write, key)) == values[key]
            most_cached = max(most_cached, memory.cache.get_usage())
    grown = resident_bytes() - before
    for store in stores:
        store.close()

    assert most_buffered <= budget_bytes // 2 + 2 * batch_bytes
    assert MIB < most_cached <= budget_bytes // 2 + MIB
    assert grown < 4 * budget_bytes, f"of {64 * 4 * batch_bytes // MIB} MiB that were written"


def incompressible_values(count: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(1000) for _ in range(count)]


def test_an_open_store_that_is_hardly_used_takes_hardly_any_of_the_budget(tmp_path: Path) -> None:
    memory = RocksDBMemory(16 * MIB)
    stores = [
        Driven(RocksDBStore(tmp_path / str(number), memory), asyncio.run).open() for number in range(16)
    ]
    for store in stores:
        store.write([(b"a", bytes(10_000))], at=1)
    assert memory.write_buffers.get_usage() < 2 * MIB  # else partitions use the budget up, not data
    for store in stores:
        store.close()
