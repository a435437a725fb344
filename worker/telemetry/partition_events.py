"""The log events of a partition: its assignment, state, input and transactions.

The invariants of the package hold: no event data, no ids of people or devices, no secrets.
"""

from worker.telemetry.log_event import LogEvent


class PartitionAssigned(LogEvent, frozen=True, kw_only=True):
    """The group assigned the partition to this worker. It is fenced and restored before it runs."""

    NAME = "partition.assigned"
    partition: int


class PartitionRevoked(LogEvent, frozen=True, kw_only=True):
    """The partition was taken from this worker: it went to another one, or this one stops."""

    NAME = "partition.revoked"
    partition: int


class PartitionRestored(LogEvent, frozen=True, kw_only=True):
    """The local store was restored from the changelog, and the partition runs.

    ``records`` were read from the changelog; ``device_records`` of them hold a device's state, so that a
    device counts as often as it was written. It took ``duration_s``.

    Alert: many records at every restart.

    Remedy: keep the state directory over restarts (``state.directory``).
    """

    NAME = "partition.restored"
    partition: int
    records: int
    device_records: int
    duration_s: float
    next_offsets: dict[str, int]


class PartitionInitialized(LogEvent, frozen=True, kw_only=True):
    """The changelog was empty; the partition starts at these offsets without state. Normal at the first start
    of a group.

    Alert: on a group that has run before.

    Remedy: its changelog was lost; docs/operations.md says how to build the state again.
    """

    NAME = "partition.initialized"
    partition: int
    next_offsets: dict[str, int]


class InputGapSkipped(LogEvent, frozen=True, kw_only=True):
    """The records from ``from_offset`` to below ``to_offset`` of an input were deleted before they were read,
    and the partition goes on after them. ``reason``: nothing that was deleted held a record, or an operator
    has accepted the loss.

    Alert: nobody has accepted a loss.

    Remedy: keep the raw topic longer than the worker may be behind (``retention.ms``).
    """

    NAME = "input.gap_skipped"
    LEVEL = "warning"
    partition: int
    topic: str
    from_offset: int
    to_offset: int
    reason: str


class PartitionStuck(LogEvent, frozen=True, kw_only=True):
    """The partition has work, or the brokers do not say whether it has, and for ``stuck_s`` nothing of it was
    committed or restored. Logged once until it moves again, and for at most 8 partitions at a time;
    ``partitions_stuck`` is how many there are. Until then the health file is not touched.

    Alert: always.

    Remedy: the lines before it say why, most often brokers that are away or refuse.
    """

    NAME = "partition.stuck"
    LEVEL = "warning"
    partition: int
    stuck_s: float
    partitions_stuck: int


class WatermarkAhead(LogEvent, frozen=True, kw_only=True):
    """A record's time, and so the partition's watermark, is more than a day ahead of this machine's clock.

    Until then sessions close early, and are opened again by their next event; nothing else is
    affected. Logged once for a partition and start; the record is before ``next_offsets``.

    Alert: always.

    Remedy: correct the clock of the producer that writes its own record times, or of this machine.
    """

    NAME = "watermark.ahead"
    LEVEL = "warning"
    partition: int
    ahead_s: float
    next_offsets: dict[str, int]


class StateWiped(LogEvent, frozen=True, kw_only=True):
    """A local store could not be used: it was damaged, too old, or made from another changelog. It was
    emptied and is restored from the changelog. No data is lost.

    Alert: several on one machine.

    Remedy: check its disk.
    """

    NAME = "state.wiped"
    LEVEL = "warning"
    partition: int
    reason: str


class StateRemoved(LogEvent, frozen=True, kw_only=True):
    """The local store of a partition that another worker has was deleted: after ``unused_days`` it would have
    to be restored from the beginning anyway.
    """

    NAME = "state.removed"
    partition: int
    unused_days: float


class TransactionLost(LogEvent, frozen=True, kw_only=True):
    """A transaction was not certainly committed. Its draft was dropped; either nothing of it is visible or
    all of it, and the changelog says which.

    ``consecutive`` counts since the last commit; only 1, 2, 4, 8 ... are logged. Normal after a rebalance or
    while a broker restarts.

    Alert: ``consecutive`` of 64 or more: for two minutes the brokers have been away or refused.

    Remedy: ``reason`` says what the brokers answered.
    """

    NAME = "transaction.lost"
    LEVEL = "warning"
    partition: int
    reason: str
    events: int
    consecutive: int
