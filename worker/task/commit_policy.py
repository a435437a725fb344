"""Decides when a draft is committed: by its age, by its share of memory, and by what brokers manage in time.

Three limits, for the three reasons: ``CommitPolicy`` says when a transaction is due (often enough to be
quick, rarely enough to be cheap), ``MemoryBudget`` how much a task may hold, ``DraftLimits`` how much one
draft may hold where brokers or the network are slow. Knows no clock, no broker and no events: times, counts
and sizes are arguments. Invariant: a draft may always hold one record, so every partition makes progress.
"""

from msgspec import Struct

from worker.engine.device_cache import BYTES_A_DEVICE

BYTES_A_DRAFTED_EVENT = 700
"""An encoded output with its tuple and its share of a drafted state (measured 2026-11-24)."""

_FEWEST_BYTES = 1024 * 1024
_FEWEST_DEVICES = 1_000
_FEWEST_EVENTS = 500

_LEAST_SHARE = 1 / 4096
"""Of 4,000 events about one; steps of 64 bytes, which is a record each."""

_GROWTH = 1.25
_QUICK_IN_A_ROW = 8


class CommitPolicy(Struct, frozen=True, kw_only=True):
    """When a transaction is due: after ``interval_s``; of a partition that is behind, later and larger.

    Behind is a partition with more than ``behind_records`` to read: it commits at ``events``, or after
    ``behind_s``. Under a steady load there are always a few records to read, and waiting for more of them
    would make every event late (p99 1,000 ms at 5,000 events a second).

    ``repartitioning_s`` instead of a shorter interval where events go to other partitions: each partition
    that a transaction touches costs (2.0 ms of CPU for 1, 4.0 for 16, 6.2 for 64; Kafka 4.3.1, 2026-11).

    ``passed_s`` after an input was read past markers or aborted records alone: they follow the records that
    they belong to in the same fetch or the next, so a transaction of its own for them is rare.

    A commit is slow when it takes more than ``slow_s``: drafts do not grow any more (``DraftLimits``).
    """

    interval_s: float = 0.1
    repartitioning_s: float = 0.3
    behind_s: float = 1.0
    behind_records: int = 500
    events: int = 4_000
    silence_s: float = 3_600.0
    """After so long without a commit, a partition commits its meta record again, unchanged. Brokers expire
    a silent producer (by default its sequence after a day, its transactional id after a week).
    """
    passed_s: float = 5.0
    slow_s: float = 5.0

    def due_at(self, opened_at: float, lag: int | None, *, repartitioning: bool = False) -> float:
        """When a draft that was opened at that time is due, in monotonic seconds.

        ``lag``: records not yet read; None is unknown, and no reason to wait for more.
        """
        if (lag or 0) > self.behind_records:
            return opened_at + self.behind_s
        return opened_at + (
            max(self.interval_s, self.repartitioning_s) if repartitioning else self.interval_s
        )


class MemoryBudget:
    """The process's memory for device states and drafts, shared equally by its tasks.

    Given in bytes, used as counts of devices and events: a count is exact and costs nothing.
    """

    def __init__(self, states_bytes: int, drafts_bytes: int) -> None:
        self._devices = max(_FEWEST_DEVICES, states_bytes // BYTES_A_DEVICE)
        self._drafts_bytes = drafts_bytes
        self._events = max(_FEWEST_EVENTS, drafts_bytes // BYTES_A_DRAFTED_EVENT)
        self._tasks = 1

    def share_between(self, tasks: int) -> None:
        """Share the budget between that many tasks from now on."""
        self._tasks = max(1, tasks)

    @property
    def devices_per_task(self) -> int:
        """How many devices one task may keep in memory."""
        return self._devices // self._tasks

    @property
    def events_per_draft(self) -> int:
        """At how many events a draft must be committed, whatever the commit policy says."""
        return max(_FEWEST_EVENTS, self._events // self._tasks)

    @property
    def bytes_per_draft(self) -> int:
        """At how many bytes of output a draft must be committed: a few events may be large ones."""
        return max(_FEWEST_BYTES, self._drafts_bytes // self._tasks)


class DraftLimits:
    """How much one task's drafts may hold: after a timeout half as much, then slowly more again.

    A quota or a slow link may let no full draft through before its deadline, and trying the same one again
    and again is no progress. Fullness is a share of the most that a draft may ever hold. Invariants: the
    limit is never above that most; after a transaction that timed out, the next draft is full at half of what
    that one held, or earlier; the limit grows only after several drafts in a row that were full and quick.
    Several, because brokers let the first ones pass after a silence, whatever the quota.

    A draft is cut between records, so a single one may hold more than the limit: a record is one batch of
    events, and its outputs stay together. After a restart the limit is the whole again.
    """

    def __init__(self, slow_s: float) -> None:
        """``slow_s``: a transaction that took longer does not let the next drafts grow."""
        self._slow_s = slow_s
        self._share = 1.0
        self._quick = 0  # full drafts in a row

    def part_of(self, most: int) -> int:
        """How much of ``most`` may be taken at once: of bytes in a step, of timers; at least 1."""
        return max(1, int(most * self._share))

    def is_full(self, fullness: float) -> bool:
        """Whether a draft of this fullness must be committed."""
        return fullness >= self._share

    def timed_out(self, fullness: float) -> None:
        """The transaction of a draft of this fullness was not done in time."""
        self._share = max(_LEAST_SHARE, min(self._share, fullness) / 2)
        self._quick = 0

    def committed(self, fullness: float, seconds: float) -> None:
        """The transaction of a draft of this fullness took that long."""
        if seconds > self._slow_s:
            self._quick = 0
        elif self.is_full(fullness):
            self._quick += 1
            if self._quick >= _QUICK_IN_A_ROW:
                self._share, self._quick = min(1.0, self._share * _GROWTH), 0
