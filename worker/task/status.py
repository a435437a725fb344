"""What a task and a worker report of themselves: counters of committed work, lag, and who stands still.

Decides what is counted and when a partition counts as standing still. Knows no clock and no log: times are
arguments, and the worker and the app log what they find here. Invariant: only committed transactions count.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from worker.engine.protocol import Counters
from worker.ports import Lag
from worker.task.session_share import add_types

# --- what was done ---


class TaskStatistics:
    """What was committed since the figures were last taken; a dropped draft counts for nothing."""

    def __init__(self) -> None:
        self.records = 0
        self.events = 0
        self.events_repartitioned = 0
        self.transactions = 0
        self.transactions_lost = 0
        self.sessions_opened = 0
        self.sessions_closed = 0
        self.devices_linked = 0
        self.events_without_session = 0
        self.types_without_session: Counter[str] = Counter()  # the most frequent of them
        self.duplicates_flagged = 0
        self.duplicates_dropped = 0
        self.dead_letters: Counter[str] = Counter()  # by reason
        self.last_dead_letter: str | None = None
        self.commit_ms: list[float] = []
        self.delay_ms: list[float] = []

    @property
    def enriched(self) -> int:
        """Events that were enriched: neither refused nor dropped as duplicates."""
        return self.events - self.dead_letters.total() - self.duplicates_dropped

    def add(self, counters: Counters, commit_seconds: float, delay_ms: float | None) -> None:
        """Count one committed draft. ``delay_ms``: from its earliest record's timestamp to now."""
        self.records += counters.records
        self.events += counters.events - counters.events_repartitioned  # those are counted where they arrive
        self.events_repartitioned += counters.events_repartitioned
        self.transactions += 1
        self.sessions_opened += counters.sessions_opened
        self.sessions_closed += counters.sessions_closed
        self.devices_linked += counters.devices_linked
        self.events_without_session += counters.without_session.total()
        add_types(self.types_without_session, counters.without_session)
        self.duplicates_flagged += counters.duplicates_flagged
        self.duplicates_dropped += counters.duplicates_dropped
        self.dead_letters.update(counters.dead_letters_by_reason)
        self.last_dead_letter = counters.last_dead_letter or self.last_dead_letter
        self.commit_ms.append(commit_seconds * 1000)
        if delay_ms is not None:
            self.delay_ms.append(delay_ms)

    def merge(self, other: "TaskStatistics") -> None:
        """Add what ``other`` counted."""
        self.records += other.records
        self.events += other.events
        self.events_repartitioned += other.events_repartitioned
        self.transactions += other.transactions
        self.transactions_lost += other.transactions_lost
        self.sessions_opened += other.sessions_opened
        self.sessions_closed += other.sessions_closed
        self.devices_linked += other.devices_linked
        self.events_without_session += other.events_without_session
        add_types(self.types_without_session, other.types_without_session)
        self.duplicates_flagged += other.duplicates_flagged
        self.duplicates_dropped += other.duplicates_dropped
        self.dead_letters.update(other.dead_letters)
        self.last_dead_letter = other.last_dead_letter or self.last_dead_letter
        self.commit_ms += other.commit_ms
        self.delay_ms += other.delay_ms


class Totals(Struct):
    """What a worker has done since its start, on all partitions, also those that went to other workers."""

    events: int = 0
    records: int = 0
    transactions: int = 0
    transactions_lost: int = 0
    dead_letters: int = 0
    duplicates_flagged: int = 0
    duplicates_dropped: int = 0

    def add(self, done: TaskStatistics) -> None:
        """Add an interval."""
        self.events += done.events
        self.records += done.records
        self.transactions += done.transactions
        self.transactions_lost += done.transactions_lost
        self.dead_letters += done.dead_letters.total()
        self.duplicates_flagged += done.duplicates_flagged
        self.duplicates_dropped += done.duplicates_dropped


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that this share of them is not above, to a tenth; None where there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)


def unknown_by_reason(lags: Mapping[str, Lag]) -> dict[str, int]:
    """How many partitions have no known lag, by the reason."""
    return dict(Counter(lag.unknown_because for lag in lags.values() if lag.records is None))


# --- whether it goes on ---


class Progress(Struct, frozen=True):
    """How far one task has come, and whether it has work.

    ``idle``: it runs, and has nothing to read, as brokers said lately, and nothing to commit; after a lost
    transaction only where it is caught up. ``changelog_offset`` grows with each commit and with each piece
    that is restored; -1 = nothing yet.
    """

    idle: bool
    changelog_offset: int


class Standstill:
    """Finds partitions that stand still: they have work, and for too long nothing of it was committed.

    A partition that is idle never stands still, nor does one that restores, as long as its store grows.
    """

    def __init__(self, patience_s: float) -> None:
        """``patience_s``: how long a partition may go without progress."""
        self._patience_s = patience_s
        self._since: dict[int, tuple[int, float]] = {}

    def partitions(self, progress: Mapping[int, Progress], now_s: float) -> dict[int, float]:
        """Partition -> seconds without progress, of those that are past the patience.

        ``now_s`` is monotonic. A partition that is not in ``progress`` starts again when it comes back.
        """
        since = {}
        for partition, seen in progress.items():
            offset, since_s = self._since.get(partition, (seen.changelog_offset, now_s))
            if seen.idle or seen.changelog_offset != offset:
                since_s = now_s
            since[partition] = (seen.changelog_offset, since_s)
        self._since = since
        still_s = {partition: now_s - since_s for partition, (_, since_s) in since.items()}
        return {partition: seconds for partition, seconds in still_s.items() if seconds > self._patience_s}
