"""What tasks and worker need of the world, as protocols.

Adapters implement them on Kafka and RocksDB, or in memory. Decides what a task may ask for and what it may
rely on; must not know any client. Invariants: a task awaits nothing but these methods, so a simulation can
step it by seed; every failure leaves a port as one of the errors in ``worker.errors``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from worker.model.output_records import Outgoing
from worker.model.outputs import OutputRecord
from worker.model.records import Records
from worker.model.repartition import Headers, RepartitionedRecord
from worker.model.state import Checkpoint, GroupOffset, StateRecord


class Clock(Protocol):
    """Time, and waiting. What is read from it never enters outputs or states."""

    def monotonic(self) -> float:
        """Seconds since some instant; never goes back."""
        ...

    def wall_ms(self) -> int:
        """Ms since the epoch by this machine's clock, which may be wrong, and may jump."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let other coroutines run for at least that long; 0 lets each run once."""
        ...


class Lag(Struct, frozen=True):
    """How much of its inputs a task has not received yet.

    ``records``: those up to the end that the brokers reported in the last 10 s; None where that is not known,
    for the reason in ``unknown_because``, which is the same text for all partitions of one cause.
    ``in_open_transactions``: offsets after the first open transaction of some producer, which nobody may read
    yet, as reported last. ``caught_up``: every record was returned, and the brokers said so in the last
    seconds; never while they are away.
    """

    records: int | None
    in_open_transactions: int = 0
    caught_up: bool = False
    unknown_because: str = ""


class Source(Protocol):
    """The inputs of one task: the records of its partition.

    Those of one input come in order, each offset at most once after a seek.
    """

    async def next_records(self, timeout_s: float) -> Records:
        """The next records of one input; none after ``timeout_s`` seconds, or when ``wake`` was called.

        Where several inputs have records, the oldest come first, to about a second. Raises TransactionLost
        where the log does not hold the next offset (start again), Fatal where nobody can read what is there.
        """
        ...

    def wake(self) -> None:
        """Let a waiting ``next_records`` return at once."""
        ...

    def seek(self, next_offsets: Mapping[str, int]) -> None:
        """Go on at these offsets, one for every input topic. Before the first seek nothing is returned."""
        ...

    def next_offsets(self) -> Mapping[str, int]:
        """By input topic the offset after what was returned. Only after a seek.

        It is past the last record, and past markers, aborted and compacted records that were read after it.
        """
        ...

    def lag(self) -> Lag:
        """The lag of all inputs together."""
        ...

    async def first_offsets(self) -> dict[str, int]:
        """Where a partition without state begins, by the configured policy. May raise TransactionLost."""
        ...

    async def committed_offsets(self) -> dict[str, GroupOffset]:
        """The group's committed offsets; inputs without one are left out. May raise TransactionLost."""
        ...

    async def log_bounds(self) -> Mapping[str, tuple[int, int]]:
        """(first, end) offset of every input's log. May raise TransactionLost.

        ``end`` is after all that was written, open transactions included.
        """
        ...

    async def still_assigned(self) -> bool:
        """Whether the partition is still assigned to this worker, asked after a lost transaction.

        Waits two heartbeats, and for the end of a rebalance.
        """
        ...


class ChangelogBatch(Struct, frozen=True):
    """Some changelog records, the offset after the last of them, and the offset to go on from.

    ``next_offset`` is past markers and aborted records too. ``records_end`` never is; without records it is
    the offset that was asked for.
    """

    records: Sequence[StateRecord]
    records_end: int
    next_offset: int


class Changelog(Protocol):
    """One partition of the changelog, read_committed. All may raise TransactionLost, with brokers away."""

    async def bounds(self) -> tuple[int, int]:
        """(first, end): the log's first offset and the last stable offset. Take it after fencing."""
        ...

    async def read(self, offset: int) -> ChangelogBatch:
        """The next committed records from ``offset`` on. Raises Fatal when they were deleted."""
        ...

    async def close(self) -> None:
        """Close the connection; a later ``bounds`` or ``read`` opens it again."""
        ...


class Transaction(Protocol):
    """The transactional producer of one partition.

    Any failure raises TransactionLost; then only ``discard`` may be called.
    """

    async def fence(self) -> None:
        """Become the only writer: former writers fail from now on; what they left open is aborted."""
        ...

    async def begin(self) -> None:
        """Open a transaction. Raises TransactionLost also where an earlier answer was lost."""
        ...

    async def send(
        self, topic: str, records: Outgoing | Sequence[OutputRecord], partition: int | None = None
    ) -> None:
        """Send records in order to this partition of the topic, or to ``partition``."""
        ...

    async def forward(self, topic: str, partition: int, records: Sequence[RepartitionedRecord]) -> None:
        """Send records in order to a partition of the repartition topic."""
        ...

    async def acknowledged(self) -> dict[str, int]:
        """Wait until the brokers have every record; by topic the offset after this partition's last one."""
        ...

    async def add_offsets(self, next_offsets: Mapping[str, int], author: str) -> None:
        """Make the group's offsets part of the transaction; ``author`` is the changelog's incarnation."""
        ...

    async def commit(self) -> None:
        """Commit: all of it becomes visible at once."""
        ...

    def discard(self) -> None:
        """Drop the producer without waiting; the next ``fence`` aborts what it left open."""
        ...


class RawRecord(Struct, frozen=True, gc=False):
    """A record for the raw topic. ``timestamp_ms`` is the time at which its request was received."""

    partition: int
    key: bytes | None
    value: bytes
    timestamp_ms: int
    headers: Headers


Delivery = Literal["stored", "rejected", "not_sent", "unknown"]
"""What became of a record that was handed to ``RawProducer.send``.

``stored``: every in-sync replica has it. ``rejected``: the brokers refused it for good, as too large; it is
not stored. ``not_sent``: it is not stored, and may be sent again. ``unknown``: no answer in time; it may be
stored, now or later.
"""


class RawProducer(Protocol):
    """Writes to the raw topic and says of each record what became of it. Never raises for brokers."""

    def partitions(self) -> int | None:
        """How many partitions the raw topic has; None until brokers have named it."""
        ...

    def is_stalled(self, partition: int) -> bool:
        """Whether the oldest batch of the partition has waited longer than allowed, or it has no leader."""
        ...

    async def send(self, records: Sequence[RawRecord]) -> Sequence[Delivery]:
        """Send records, in order for each partition, and wait for all answers, up to the configured time.

        One delivery for each record, in their order. Shielded: a caller that is cancelled changes nothing.
        """
        ...


class StateStore(Protocol):
    """The local copy of one changelog partition.

    Data and checkpoint are written together: after a kill the store has all of a write or none of it. Every
    method may raise StateCorrupted; after ``wipe`` the store is empty and usable.
    """

    async def open(self) -> None:
        """Open or create it; opening an open store changes nothing."""
        ...

    def checkpoint(self) -> Checkpoint | None:
        """Up to which changelog offset the store is; None when it is empty."""
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
        """Delete everything."""
        ...

    async def close(self) -> None:
        """Flush and release the directory. Closing twice is allowed."""
        ...


class Group(Protocol):
    """The worker's membership in its consumer group."""

    async def changed(self) -> frozenset[int]:
        """Wait for the next assignment; the partitions that this worker has from then on."""
        ...

    async def pump(self) -> None:
        """Fetch for the tasks' sources until closed."""
        ...

    def release(self, partition: int) -> None:
        """Fetch no more for this partition: its task has ended."""
        ...


class TaskPorts(Struct, frozen=True, kw_only=True):
    """The ports of one task. ``new_incarnation`` makes an id that no changelog had before."""

    source: Source
    transaction: Transaction
    changelog: Changelog
    store: StateStore
    clock: Clock
    new_incarnation: Callable[[], str]
