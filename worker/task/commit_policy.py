"""Decides when a transaction is due: often enough to be quick when caught up, seldom enough to be cheap when
behind.
"""

from msgspec import Struct


class CommitPolicy(Struct, frozen=True, kw_only=True):
    """Due after ``interval_s`` when caught up; when behind, at ``events`` or after ``behind_s``."""

    interval_s: float = 0.1
    behind_s: float = 1.0
    events: int = 4_000

    def due_at(self, opened_at: float, lag: int) -> float:
        """When a draft opened at that instant is due (monotonic seconds); ``lag`` in records not yet read."""
        return opened_at + (self.interval_s if lag == 0 else self.behind_s)
