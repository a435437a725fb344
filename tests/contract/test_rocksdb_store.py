"""What only a disk can do to a store: to be killed, to rot, to be locked, to fill the memory."""

import asyncio
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.contract.driven_store import MIB, Driven, on_rocksdb
from tests.contract.dying_writer import KEYS, ONLY_AT_EVEN, WRITES_A_FLUSH, checkpoint_of, value_of
from worker.adapters.rocksdb_store import RocksDBMemory, RocksDBStore
from worker.errors import Fatal, StateCorrupted
from worker.model.state import Checkpoint

# --- kills ---


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


# --- locks ---


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


# --- a machine that has no more to give ---


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


# --- rot ---

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


# --- memory ---


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
