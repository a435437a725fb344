"""Decides how much one draft may hold: half of what was too much for its time, then slowly more again.

A quota or a slow link may let no full draft through before its deadline, and trying the same one again and
again is no progress. Knows no clock and no broker: it is told how full a draft was, as a share of the most
that a draft may ever hold, and how long its transaction took. Invariants: a draft may always hold one record,
and never more than the most; after a transaction that was not done in time the next draft is full at half of
what that one held, or earlier; the limit grows only by several drafts in a row that were full and done
quickly. Several, because brokers let the first ones pass after a silence, whatever the quota.

A draft is cut between records, so a single one may hold more than the limit: a record is one batch of events,
and its outputs move together.
"""

_LEAST_SHARE = 1 / 4096
"""Of 4,000 events about one; pieces of 64 bytes, which is a record each."""

_GROWTH = 1.25
_QUICK_IN_A_ROW = 8


class DraftLimits:
    """The limits of one task's drafts. After a restart they are the whole again."""

    def __init__(self, slow_s: float) -> None:
        """``slow_s``: a transaction that took longer does not let the next ones grow."""
        self._slow_s = slow_s
        self._share = 1.0
        self._quick = 0  # full drafts in a row

    def part_of(self, most: int) -> int:
        """So much of ``most`` may be taken at once: of bytes in a piece, of timers; at least 1."""
        return max(1, int(most * self._share))

    def is_full(self, fullness: float) -> bool:
        """Whether a draft that holds this share of the most must be committed."""
        return fullness >= self._share

    def timed_out(self, fullness: float) -> None:
        """The transaction of such a draft was not done in time."""
        self._share = max(_LEAST_SHARE, min(self._share, fullness) / 2)
        self._quick = 0

    def committed(self, fullness: float, seconds: float) -> None:
        """The transaction of such a draft took that long."""
        if seconds > self._slow_s:
            self._quick = 0
        elif self.is_full(fullness):
            self._quick += 1
            if self._quick >= _QUICK_IN_A_ROW:
                self._share, self._quick = min(1.0, self._share * _GROWTH), 0
