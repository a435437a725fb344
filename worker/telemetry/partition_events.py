"""The log events in the life of a partition: its assignment, state, input and transactions.

Part of the catalogue, whose invariant holds: no event data, no ids of people or devices, no secrets.
"""

from worker.telemetry.log_event import LogEvent


class PartitionAssigned(LogEvent, frozen=True, kw_only=True):
    """A partition came to this worker; it is fenced and restored before it runs."""

    NAME = "partition.assigned"
    partition: int


class WorkerIdle(LogEvent, frozen=True, kw_only=True):
    """The group has no partition for this worker: there are at least as many workers as partitions. It stands
    by.

    Alert: where there are fewer workers than partitions.
    """

    NAME = "worker.idle"


class PartitionReleased(LogEvent, frozen=True, kw_only=True):
    """A partition went to another worker, or this one stops."""

    NAME = "partition.released"
    partition: int


class PartitionRestored(LogEvent, frozen=True, kw_only=True):
    """The local store has caught up with the changelog and the partition runs.

    ``records`` were read from the changelog. Alert: many records at every restart, the state directory is not
    kept.
    """

    NAME = "partition.restored"
    partition: int
    records: int
    devices: int
    seconds: float
    next_offsets: dict[str, int]


class PartitionFounded(LogEvent, frozen=True, kw_only=True):
    """The changelog was empty: the partition's first life begins at these offsets.

    Alert: on a group that has run before (then the changelog was lost).
    """

    NAME = "partition.founded"
    partition: int
    next_offsets: dict[str, int]


class InputGapPassed(LogEvent, frozen=True, kw_only=True):
    """The log of an input begins behind the offset that was read up to, and the partition goes on at its
    start, for the reason in ``cause``: what was deleted held no record, or an operator has accepted the loss.

    Alert: nobody has accepted a loss.
    """

    NAME = "input.gap_passed"
    LEVEL = "warning"
    partition: int
    topic: str
    from_offset: int
    to_offset: int
    cause: str


class PartitionStuck(LogEvent, frozen=True, kw_only=True):
    """The partition has work, or brokers do not tell whether it has, and for ``seconds`` nothing of it was
    committed or restored. Logged once, until it moves again, and of many at once only the first 8;
    ``partitions_stuck`` is how many stand still now. The health file is not touched meanwhile.

    Alert: always. The lines before it say why, most often brokers that are away or refuse.
    """

    NAME = "partition.stuck"
    LEVEL = "warning"
    partition: int
    seconds: float
    partitions_stuck: int


class WatermarkAhead(LogEvent, frozen=True, kw_only=True):
    """A record's time, and so the partition's watermark, is more than a day ahead of this machine's clock:
    its sessions close early, and open again with their next event, until time has caught up. Nothing else is
    affected. Logged once a partition and start; the record lies before ``next_offsets``.

    Alert: at once, a producer that writes its own record times has a wrong clock, or this machine has.
    """

    NAME = "watermark.ahead"
    LEVEL = "warning"
    partition: int
    ahead_s: float
    next_offsets: dict[str, int]


class StateWiped(LogEvent, frozen=True, kw_only=True):
    """A local store was unusable, too old or of another life; it is restored from the changelog. No data is
    lost.

    Alert: repeatedly on one machine, its disk is failing.
    """

    NAME = "state.wiped"
    LEVEL = "warning"
    partition: int
    reason: str


class StateRemoved(LogEvent, frozen=True, kw_only=True):
    """The local store of a partition that another worker has was not used for so long that it would have to
    be restored whole: its disk space is free again.
    """

    NAME = "state.removed"
    partition: int
    days: float


class TransactionLost(LogEvent, frozen=True, kw_only=True):
    """A transaction did not certainly commit; its draft was dropped and nothing of it is visible, or all of
    it.

    ``in_a_row`` counts since the last commit; only 1, 2, 4, 8 ... are told. Normal after a rebalance or while
    a broker restarts. Alert: 64 in a row, for two minutes the brokers have been away or refused.
    """

    NAME = "transaction.lost"
    LEVEL = "warning"
    partition: int
    cause: str
    events: int
    in_a_row: int
