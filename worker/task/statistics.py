"""What a task has done since its figures were last taken: plain counters of committed work, no clock and no
log.
"""

from collections import Counter

from worker.task.draft import Draft


class TaskStatistics:
    """Counts committed transactions only: what was dropped with a draft was not done."""

    def __init__(self) -> None:
        self.records = 0
        self.events = 0
        self.events_rekeyed = 0
        self.transactions = 0
        self.transactions_lost = 0
        self.sessions_opened = 0
        self.sessions_closed = 0
        self.devices_linked = 0
        self.rejections: Counter[str] = Counter()
        self.last_rejection: str | None = None
        self.commit_seconds: list[float] = []

    def add(self, draft: Draft, commit_seconds: float) -> None:
        """Count one committed draft."""
        self.records += draft.records
        self.events += draft.events - draft.events_rekeyed  # those are counted where they arrive
        self.events_rekeyed += draft.events_rekeyed
        self.transactions += 1
        self.sessions_opened += draft.sessions_opened
        self.sessions_closed += draft.sessions_closed
        self.devices_linked += draft.devices_linked
        self.rejections.update(draft.rejections)
        self.last_rejection = draft.last_rejection or self.last_rejection
        self.commit_seconds.append(commit_seconds)
