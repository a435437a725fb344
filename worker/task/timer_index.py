"""Finds the timers that are due, without asking the store when none can be.

Knows the store's timer keys, and one before which there is none; nothing of sessions. Invariant: that key is
never after the first timer in the store, so a due timer is found the next time it is asked for. The store is
asked from there on, or it would step over every timer that has fired and is not yet compacted away: 200,000
of them, due at the same time, took 30 s instead of 9 (2026-11).
"""

from collections.abc import Sequence

from worker.core.state_codec import TimerKind, due_range, kind_of_timer, whole_range
from worker.ports import StateRecord, StateStore


class TimerIndex:
    """The timers of one store."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._none_before: dict[TimerKind, bytes] = {}
        self._exact: set[TimerKind] = set()  # kinds whose first timer, if there is any, is that very key

    def is_due(self, kind: TimerKind, now_ms: int) -> bool:
        """Whether some timer of that kind is due: its time is before ``now_ms``."""
        start, end = whole_range(kind)
        _, not_due = due_range(kind, now_ms)
        none_before = self._none_before.get(kind, start)
        if none_before < not_due and kind not in self._exact:
            first = self._store.keys(none_before, end, 1)
            none_before = self._none_before[kind] = first[0] if first else end
            self._exact.add(kind)
        return none_before < not_due

    def due(self, kind: TimerKind, now_ms: int, limit: int) -> list[bytes]:
        """The keys of the timers that are due, the earliest first, at most ``limit``."""
        if limit <= 0 or not self.is_due(kind, now_ms):
            return []
        _, not_due = due_range(kind, now_ms)
        return self._store.keys(self._none_before[kind], not_due, limit)

    def written(self, records: Sequence[StateRecord]) -> None:
        """The store has taken in these timer records."""
        for key, value in records:
            kind = kind_of_timer(key)
            none_before = self._none_before.get(kind)
            if none_before is None:
                continue
            if value is None and key == none_before:
                self._exact.discard(kind)  # ask anew, from there on
            elif value is not None and key < none_before:
                self._none_before[kind] = key

    def clear(self) -> None:
        """The store has changed otherwise: know nothing."""
        self._none_before.clear()
        self._exact.clear()
