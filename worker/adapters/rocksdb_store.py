"""The state store on RocksDB: one database a partition, one memory budget for all of them.

Knows rocksdict; nothing of Kafka. Invariants: records and checkpoint of a write are one write batch in one
column family; there is no write-ahead log, because the changelog is the log: after a kill the database is an
earlier state of itself with the checkpoint of that time. What cannot be read raises StateCorrupted; a
directory that another process holds raises Fatal.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterable
from itertools import islice, takewhile
from pathlib import Path
from typing import TypeVar

from msgspec import msgpack
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from worker.errors import Fatal, StateCorrupted
from worker.model.state import Checkpoint, StateRecord

_CHECKPOINT_KEY = b"k"
_BLOOM_BITS = 10.0
_MEMTABLE_BYTES = 16 * 1024 * 1024
# A memtable takes memory in pieces of this size. By RocksDB's default of 1 MiB the memtables of 64 partitions
# used up their budget while nearly empty, and then every write was flushed alone (measured 2026-11).
_ARENA_BYTES = 64 * 1024

_DISK_ERRORS = (
    "No space left",
    "Disk quota exceeded",
    "File too large",
    "Permission denied",
    "Read-only file system",
)
"""Parts of RocksDB's messages for errors of the disk: a wipe would lose a good store and fix nothing."""

_checkpoint_encoder = msgpack.Encoder()
_checkpoint_decoder = msgpack.Decoder(Checkpoint)

T = TypeVar("T")


class RocksDBMemory:
    """The memory that all databases of a process share.

    Half is for blocks read, half for writes not yet on disk.
    """

    def __init__(self, memory_bytes: int) -> None:
        self.cache = Cache(memory_bytes // 2)
        # Not allow_stall: a writer would wait for ever for the memory of databases that nobody flushes.
        self.write_buffers = WriteBufferManager(memory_bytes // 2, False)

    @property
    def is_over_budget(self) -> bool:
        """Whether writes come in faster than RocksDB's own flushes, which delay no write, free memory."""
        return bool(self.write_buffers.get_usage() > self.write_buffers.get_buffer_size())


class RocksDBStore:
    """Implements ``ports.StateStore`` in one directory."""

    def __init__(
        self, directory: Path, memory: RocksDBMemory, on_flush: Callable[[int], None] | None = None
    ) -> None:
        """``on_flush`` is called, in a thread, with the changelog offset that the disk has reached."""
        self._directory = directory
        self._on_flush = on_flush
        self._memory = memory
        self._db: Rdict | None = None
        self._checkpoint: Checkpoint | None = None
        self._dirty = False
        self._write_options = WriteOptions()
        self._write_options.disable_wal = True  # a property, whatever the stubs say

    async def open(self) -> None:
        """Open or create the database; opening an open one is allowed."""
        if self._db is not None:
            return
        try:
            self._directory.parent.mkdir(parents=True, exist_ok=True)
            db = await asyncio.to_thread(Rdict, str(self._directory), self._options())
            self._db = db
            value = db.get(_CHECKPOINT_KEY)
            self._checkpoint = None if value is None else _checkpoint_decoder.decode(value)
        except OSError as error:
            raise Fatal(f"state directory {self._directory}: {error}") from error
        except Exception as error:
            raise self._failure(error) from error

    def checkpoint(self) -> Checkpoint | None:
        """How far the store is."""
        return self._checkpoint

    def get(self, key: bytes) -> bytes | None:
        """The value of the key."""
        value: bytes | None = self._use(lambda db: db.get(key))
        return value

    def keys(self, first: bytes, end: bytes, limit: int) -> list[bytes]:
        """The keys from ``first`` on and below ``end``, in order."""
        return self._use(
            lambda db: list(islice(takewhile(lambda key: key < end, db.keys(from_key=first)), limit))
        )

    def write(self, records: Iterable[StateRecord], checkpoint: Checkpoint) -> None:
        """Apply records and checkpoint in one batch, in memory.

        RocksDB flushes it later, or it is flushed at once where the budget is exceeded: so memory stays
        within one batch of the budget.
        """
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for key, value in records:
            if value is None:
                batch.delete(key)
            else:
                put(key, value)
        put(_CHECKPOINT_KEY, _checkpoint_encoder.encode(checkpoint))
        self._use(lambda db: db.write(batch, self._write_options))
        self._checkpoint = checkpoint
        self._dirty = True
        if self._memory.is_over_budget:
            self._use(lambda db: db.flush())

    async def flush(self) -> None:
        """Write to disk what is in memory. Takes long, so in a thread."""
        if self._dirty and self._db is not None:
            self._dirty = False
            try:
                await asyncio.to_thread(self._flush, self._db, self._checkpoint)
            except Exception as error:
                raise self._failure(error) from error

    def _flush(self, db: Rdict, checkpoint: Checkpoint | None) -> None:
        db.flush()
        if checkpoint is not None and self._on_flush is not None:
            self._on_flush(checkpoint.changelog_offset)

    async def wipe(self) -> None:
        """Delete the directory and begin with an empty one."""
        self._close_database()
        self._checkpoint = None
        try:
            await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=False)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Fatal(f"state directory {self._directory} cannot be emptied: {error.strerror}") from error
        await self.open()

    async def close(self) -> None:
        """Flush and close the database."""
        try:
            await self.flush()
        except StateCorrupted:
            pass  # found again, and fixed, when it is opened next
        finally:
            self._close_database()

    def _close_database(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            # Closing flushes first, and fails where that fails; the database is let go of all the same.
            with contextlib.suppress(Exception):
                db.close()

    def _use(self, use: Callable[[Rdict], T]) -> T:
        assert self._db is not None, "the store is not open"
        try:
            return use(self._db)
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> Exception:
        """rocksdict raises plain Exceptions; RocksDB's status comes first in their text."""
        text = str(error)
        if "lock file" in text or "lock hold by current process" in text:
            return Fatal(
                f"state directory {self._directory} is in use by another process: give each its own "
                "state.directory"
            )
        if "Too many open files" in text:
            return Fatal(f"state directory {self._directory}: {text}: raise the limit (ulimit -n)")
        if any(reason in text for reason in _DISK_ERRORS):
            return Fatal(f"state directory {self._directory}: {text}")
        return StateCorrupted(f"{self._directory}: {text}")

    def _options(self) -> Options:
        table = BlockBasedOptions()
        table.set_block_cache(self._memory.cache)
        table.set_bloom_filter(_BLOOM_BITS, False)  # most look-ups of new devices end here
        table.set_cache_index_and_filter_blocks(True)  # inside the budget, whatever the number of partitions
        table.set_pin_l0_filter_and_index_blocks_in_cache(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(table)
        options.set_write_buffer_manager(self._memory.write_buffers)
        options.set_write_buffer_size(_MEMTABLE_BYTES)
        options.set_arena_block_size(_ARENA_BYTES)
        options.set_max_write_buffer_number(2)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_open_files(64)
        options.set_max_background_jobs(2)
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(1024 * 1024)
        return options
