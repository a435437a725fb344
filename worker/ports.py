"""What the task needs of the world, as protocols. Adapters implement them, on Kafka and RocksDB or in memory.

A task awaits nothing but these methods, so that a simulation can step it by seed. Every failure leaves a port
as one of the errors in ``worker.errors``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from worker.model.events import InputRecord
from worker.model.outputs import OutputRecord
from worker.model.repartition import RepartitionedRecord
from worker.model.state import Checkpoint, GroupOffset

StateRecord = tuple[bytes, bytes | None]
"""(key, value) of store and changelog; None deletes the key."""


class Clock(Protocol):
    """Time, and waiting. Nothing read from it enters outputs or states."""

    def monotonic(self) -> float:
        """Seconds since some instant; never goes back."""
        ...

    def wall_ms(self) -> int:
        """Ms since the epoch, as this machine believes; may jump."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let others run for at least that long; 0 gives way once."""
        ...


class Lag(Struct, frozen=True):
    """What the inputs of a task hold that is not yet returned to it.

    ``records``: up to the end that the brokers reported in the last 10 s; None where that is not known, for
    the reason in ``unknown_because``, in words that are the same for all partitions of one cause.
    ``in_open_transactions``: offsets behind the first open transaction of some producer, which nobody may
    read yet, as reported last. ``caught_up``: everything was returned, and the brokers said so in the last
    seconds; never while they are away.
    """

    records: int | None
    in_open_transactions: int = 0
    caught_up: bool = False
    unknown_because: str = ""


class Source(Protocol):
    """The inputs of one task: its partition's records, each input's in order, each offset at most once after
    a seek.
    """

    async def next_records(self, timeout_s: float) -> Sequence[InputRecord]:
        """The next records, of one input; none when the time passed, or ``wake`` was called, first. Where
        several inputs have some, the oldest first, to about a second. Raises TransactionLost where the log
        does not hold the place to go on at (start again), Fatal where nobody can read what is there.
        """
        ...

    def wake(self) -> None:
        """Let a waiting ``next_records`` return at once."""
        ...

    def seek(self, next_offsets: Mapping[str, int]) -> None:
        """Go on at these offsets (of every input topic). Nothing is returned before the first seek."""
        ...

    def next_offsets(self) -> Mapping[str, int]:
        """Where each input goes on after what was returned: past its last record, and past markers, aborted
        and compacted records behind that, as far as was read. Only after a seek.
        """
        ...

    def lag(self) -> Lag:
        """What is not yet returned, of all inputs together."""
        ...

    async def first_offsets(self) -> dict[str, int]:
        """Where a first life begins, by the configured policy. May raise TransactionLost (try again)."""
        ...

    async def committed_offsets(self) -> dict[str, GroupOffset]:
        """The group's committed offsets; inputs without one are left out. May raise TransactionLost."""
        ...

    async def log_bounds(self) -> Mapping[str, tuple[int, int]]:
        """(first, end) of every input's log, ``end`` behind all that was written, decided or not. May raise
        TransactionLost.
        """
        ...

    async def still_assigned(self) -> bool:
        """After a lost transaction: wait two heartbeats and out any rebalance; whether the partition is still
        ours.
        """
        ...


class ChangelogBatch(Struct, frozen=True):
    """Some changelog records, the offset after the last of them, and the offset to go on from.

    ``next_offset`` is past markers and aborted records too, ``records_end`` never is; without records it is
    the offset that was asked for.
    """

    records: Sequence[StateRecord]
    records_end: int
    next_offset: int


class Changelog(Protocol):
    """One partition of the changelog, read_committed. All may raise TransactionLost: the broker is away."""

    async def bounds(self) -> tuple[int, int]:
        """(first, end): the log's first offset and the last stable offset. Take it after fencing."""
        ...

    async def read(self, offset: int) -> ChangelogBatch:
        """The next committed records from ``offset`` on. Raises Fatal when they were deleted."""
        ...

    async def close(self) -> None:
        """Let go of the connection; a later ``bounds`` or ``read`` opens it again."""
        ...


class Transaction(Protocol):
    """The transactional producer of one partition. Any failure raises TransactionLost; then only ``discard``
    is left.
    """

    async def fence(self) -> None:
        """Become the only writer: whoever wrote before fails from now on; what it left open is aborted."""
        ...

    async def begin(self) -> None:
        """Open a transaction. Raises TransactionLost too where an earlier answer was lost on the way."""
        ...

    async def send(self, topic: str, records: Sequence[OutputRecord], partition: int | None = None) -> None:
        """Send records to this partition of the topic, or to the one that is given, in order."""
        ...

    async def forward(self, topic: str, partition: int, records: Sequence[RepartitionedRecord]) -> None:
        """Send records to any partition of the repartition topic, in order."""
        ...

    async def acknowledged(self) -> dict[str, int]:
        """Wait until the broker has every record; by topic the offset after this partition's last one."""
        ...

    async def add_offsets(self, next_offsets: Mapping[str, int], author: str) -> None:
        """Make the group's offsets part of the transaction, with the incarnation whose they are."""
        ...

    async def commit(self) -> None:
        """Make all of it visible at once."""
        ...

    def discard(self) -> None:
        """Throw the producer away without waiting for it; the next ``fence`` ends what it left open."""
        ...


class StateStore(Protocol):
    """The local copy of one changelog partition. Data and checkpoint move together: after a kill all of a
    write or none.

    Every method may raise StateCorrupted; after ``wipe`` the store is empty and usable.
    """

    async def open(self) -> None:
        """Open or create it; opening an open one changes nothing."""
        ...

    def checkpoint(self) -> Checkpoint | None:
        """How far the store is; None when it is empty."""
        ...

    def get(self, key: bytes) -> bytes | None:
        """The value of the key as of the last write."""
        ...

    def keys(self, first: bytes, end: bytes, limit: int) -> list[bytes]:
        """The keys from ``first`` on and below ``end``, in order, at most ``limit``."""
        ...

    def write(self, records: Iterable[StateRecord], checkpoint: Checkpoint) -> None:
        """Apply records and checkpoint in one batch. Need not survive a kill before the next ``flush``."""
        ...

    async def flush(self) -> None:
        """Make what was written survive a kill."""
        ...

    async def wipe(self) -> None:
        """Forget everything."""
        ...

    async def close(self) -> None:
        """Flush and let go of the directory. Closing twice is allowed."""
        ...


class TaskPorts(Struct, frozen=True, kw_only=True):
    """All that one task uses of the world. ``new_incarnation`` makes an id that no changelog had before."""

    source: Source
    transaction: Transaction
    changelog: Changelog
    store: StateStore
    clock: Clock
    new_incarnation: Callable[[], str]
