"""Finds the timers that are due, without asking the store when none can be.

Knows the store's timer keys and a time before which there are none; nothing of sessions. Invariant: that time
is never later than the earliest timer in the store, so a due timer is found the next time it is asked for.
The store is asked from there on, or it would step over every timer that has fired and is not yet compacted
away.
"""

from collections.abc import Sequence

from worker.core.timers import TimerKind, due_range, kind_of_timer, time_of_timer, whole_range
from worker.ports import StateRecord, StateStore

_NEVER = 2**63 - 1


class TimerIndex:
    """The timers of one store."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._none_before: dict[TimerKind, int] = {}
        self._exact: set[TimerKind] = set()  # kinds of which a timer stands, or stood, at that very time

    def is_due(self, kind: TimerKind, now_ms: int) -> bool:
        """Whether some timer of that kind is due: its time is before ``now_ms``."""
        none_before = self._none_before.get(kind, 0)
        if none_before >= now_ms:
            return False
        if kind not in self._exact:
            (start, _), (_, end) = due_range(kind, none_before, now_ms), whole_range(kind)
            first = self._store.keys(start, end, 1)
            none_before = self._none_before[kind] = time_of_timer(first[0]) if first else _NEVER
            self._exact.add(kind)
        return none_before < now_ms

    def due(self, kind: TimerKind, now_ms: int, limit: int) -> list[bytes]:
        """The keys of the timers that are due, the earliest first, at most ``limit``."""
        if limit <= 0 or not self.is_due(kind, now_ms):
            return []
        return self._store.keys(*due_range(kind, self._none_before[kind], now_ms), limit)

    def written(self, records: Sequence[StateRecord]) -> None:
        """The store has taken in these timer records."""
        for key, value in records:
            kind, at_ms = kind_of_timer(key), time_of_timer(key)
            none_before = self._none_before.get(kind, 0)
            if value is None and at_ms == none_before:
                self._exact.discard(kind)  # it may have been the earliest: ask anew, from there on
            elif value is not None and at_ms < none_before:
                self._none_before[kind] = at_ms

    def clear(self) -> None:
        """The store has changed otherwise: know nothing."""
        self._none_before.clear()
        self._exact.clear()
