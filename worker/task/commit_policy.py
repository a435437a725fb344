"""Decides when a transaction is due: often enough to be quick when caught up, seldom enough to be cheap when
behind.
"""

from msgspec import Struct


class CommitPolicy(Struct, frozen=True, kw_only=True):
    """Due after ``interval_s`` when caught up; when behind, at ``events`` or after ``behind_s``.

    Behind is who has more than ``behind_records`` to read: under a steady load there are always some on their
    way, and waiting for more of them would make every event late (p99 1,000 ms at 5,000 events a second).

    ``repartitioning_s`` instead of a shorter interval where events go to other partitions: each partition
    that a transaction touches costs (2.0 ms of CPU for 1, 4.0 for 16, 6.2 for 64; Kafka 4.3.1, 2026-11).

    ``passed_s`` after an input was read past markers or aborted records alone: they follow the records that
    they belong to in the same fetch or the next, so a transaction of its own for them is the exception.

    Slow is a commit that takes more than ``slow_s``: drafts do not grow any more (``draft_limits``).
    """

    interval_s: float = 0.1
    repartitioning_s: float = 0.3
    behind_s: float = 1.0
    behind_records: int = 500
    events: int = 4_000
    silence_s: float = 3_600.0
    """So long without a commit, and a partition commits its meta record once more, unchanged. Brokers forget
    a producer that is silent (by default its sequence after a day, its transactional id after a week).
    """
    passed_s: float = 5.0
    slow_s: float = 5.0

    def due_at(self, opened_at: float, lag: int | None, *, repartitioning: bool = False) -> float:
        """When a draft opened at that instant is due (monotonic seconds); ``lag`` in records not yet read.
        None is unknown, and no reason to wait for more.
        """
        if (lag or 0) > self.behind_records:
            return opened_at + self.behind_s
        return opened_at + (
            max(self.interval_s, self.repartitioning_s) if repartitioning else self.interval_s
        )
