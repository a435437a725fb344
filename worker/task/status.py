"""What a task has done since its figures were last taken: plain counters of committed work, no clock and no
log.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from worker.ports import Lag
from worker.task.draft import Draft


class TaskStatistics:
    """Counts committed transactions only: what was dropped with a draft was not done."""

    def __init__(self) -> None:
        self.records = 0
        self.events = 0
        self.events_repartitioned = 0
        self.transactions = 0
        self.transactions_lost = 0
        self.sessions_opened = 0
        self.sessions_closed = 0
        self.devices_linked = 0
        self.rejections: Counter[str] = Counter()
        self.last_rejection: str | None = None
        self.commit_ms: list[float] = []
        self.delay_ms: list[float] = []

    def add(self, draft: Draft, commit_seconds: float, delay_ms: float | None) -> None:
        """Count one committed draft. ``delay_ms``: from its first record's timestamp to now."""
        self.records += draft.records
        self.events += draft.events - draft.events_repartitioned  # those are counted where they arrive
        self.events_repartitioned += draft.events_repartitioned
        self.transactions += 1
        self.sessions_opened += draft.sessions_opened
        self.sessions_closed += draft.sessions_closed
        self.devices_linked += draft.devices_linked
        self.rejections.update(draft.rejections)
        self.last_rejection = draft.last_rejection or self.last_rejection
        self.commit_ms.append(commit_seconds * 1000)
        if delay_ms is not None:
            self.delay_ms.append(delay_ms)

    def merge(self, other: "TaskStatistics") -> None:
        """Count what ``other`` counted."""
        self.records += other.records
        self.events += other.events
        self.events_repartitioned += other.events_repartitioned
        self.transactions += other.transactions
        self.transactions_lost += other.transactions_lost
        self.sessions_opened += other.sessions_opened
        self.sessions_closed += other.sessions_closed
        self.devices_linked += other.devices_linked
        self.rejections.update(other.rejections)
        self.last_rejection = other.last_rejection or self.last_rejection
        self.commit_ms += other.commit_ms
        self.delay_ms += other.delay_ms


class Totals(Struct):
    """What a worker has done since its start, all partitions together, also those that went elsewhere."""

    events: int = 0
    records: int = 0
    transactions: int = 0
    transactions_lost: int = 0
    dead_letters: int = 0

    def add(self, done: TaskStatistics) -> None:
        """Count an interval."""
        self.events += done.events
        self.records += done.records
        self.transactions += done.transactions
        self.transactions_lost += done.transactions_lost
        self.dead_letters += done.rejections.total()


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that so great a share of them is not above, to a tenth; None where there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)


def unknown_by_reason(lags: Mapping[str, Lag]) -> dict[str, int]:
    """How many partitions have no known lag, by the reason."""
    return dict(Counter(lag.unknown_because for lag in lags.values() if lag.records is None))
