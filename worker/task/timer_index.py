"""Finds the timers that are due, without asking the store when none can be.

Knows the store's timer keys and the earliest time among them; nothing of sessions. Invariant: the earliest
time known is never later than the earliest in the store, so a due timer is found the next time it is asked
for.
"""

from collections.abc import Sequence

from worker.core.timers import TimerKind, due_range, kind_of_timer, time_of_timer, whole_range
from worker.ports import StateRecord, StateStore

_NEVER = 2**63


class TimerIndex:
    """The timers of one store."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._earliest: dict[TimerKind, int] = {}

    def is_due(self, kind: TimerKind, now_ms: int) -> bool:
        """Whether some timer of that kind is due: its time is before ``now_ms``."""
        if kind not in self._earliest:
            first = self._store.keys(*whole_range(kind), 1)
            self._earliest[kind] = time_of_timer(first[0]) if first else _NEVER
        return self._earliest[kind] < now_ms

    def due(self, kind: TimerKind, now_ms: int, limit: int) -> list[bytes]:
        """The keys of the timers that are due, the earliest first, at most ``limit``."""
        if limit <= 0 or not self.is_due(kind, now_ms):
            return []
        return self._store.keys(*due_range(kind, self._earliest[kind], now_ms), limit)

    def written(self, records: Sequence[StateRecord]) -> None:
        """The store has taken in these timer records."""
        for key, value in records:
            kind = kind_of_timer(key)
            if value is None:
                self._earliest.pop(kind, None)  # the earliest may be gone: ask anew
            elif kind in self._earliest:
                self._earliest[kind] = min(self._earliest[kind], time_of_timer(key))

    def clear(self) -> None:
        """The store has changed otherwise: know nothing."""
        self._earliest.clear()
