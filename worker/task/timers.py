"""Finds the timers that are due, by which sessions close and devices expire.

Decides which instant counts. Sessions close by the committed watermark, and by the wall clock where the
partition is caught up, so that the last session of a quiet stream closes; devices expire by the expiry clock.
A partition that lags, restores or has no answer from its brokers never uses the wall clock. Invariant: timers
work on committed states only, before any record of the draft, and on a bounded number of devices a draft: a
burst takes several transactions, and heartbeats go on between them.
"""

from collections.abc import Sequence
from typing import Protocol

from worker.core.expiry import clock_ms
from worker.core.state_codec import TimerKind, due_range, kind_of_timer, whole_range
from worker.model.rules import Rules
from worker.model.state import Meta, StateRecord
from worker.ports import Source, StateStore

TIMERS_A_DRAFT = 1_000


class TimeOfDay(Protocol):
    """``wall_clock.WallClock``, or in tests a clock that is always right."""

    def wall_ms(self) -> int:
        """Ms since the epoch."""
        ...


class TimerService:
    """The timers of one task."""

    def __init__(self, rules: Rules, source: Source, store: StateStore, clock: TimeOfDay) -> None:
        self._rules = rules
        self._source = source
        self._clock = clock
        self._index = TimerIndex(store)

    def is_due(self, committed: Meta | None) -> bool:
        """Whether a timer is due while there is no record to process."""
        if committed is None:
            return False
        closing_ms = self._closing_time_ms(committed.watermark_ms, nothing_pending=True)
        return self._index.is_due("close", closing_ms) or self._index.is_due(
            "expire", clock_ms(committed.expiry, self._rules)
        )

    def due(
        self, committed: Meta, most: int = TIMERS_A_DRAFT, *, nothing_pending: bool
    ) -> tuple[list[bytes], int]:
        """The keys of the timers that are due, at most ``most``, and the instant by which sessions close.

        ``nothing_pending``: every record that the source has returned was processed.
        """
        now_ms = self._closing_time_ms(committed.watermark_ms, nothing_pending=nothing_pending)
        fired = self._index.due("close", now_ms, most)
        fired += self._index.due("expire", clock_ms(committed.expiry, self._rules), most - len(fired))
        return fired, now_ms

    def written(self, timer_records: Sequence[StateRecord]) -> None:
        """These timers were written to the store."""
        self._index.written(timer_records)

    def restored(self) -> None:
        """The store was changed in another way."""
        self._index.clear()

    def _closing_time_ms(self, watermark_ms: int, *, nothing_pending: bool) -> int:
        if nothing_pending and self._source.lag().caught_up:
            return max(watermark_ms, self._clock.wall_ms())
        return watermark_ms


class TimerIndex:
    """Finds due timers in a store, without asking it when there can be none.

    Keeps, for each kind, a key before which the store has no timer. Invariant: that key is never after the
    first timer, so a due timer is found the next time it is asked for. The store is asked from there on, or
    it would step over every timer that has fired and is not compacted yet: 200,000 of them, due at the same
    time, took 30 s instead of 9 (2026-11).
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._none_before: dict[TimerKind, bytes] = {}
        self._exact: set[TimerKind] = set()  # kinds whose first timer, if there is any, is that very key

    def is_due(self, kind: TimerKind, now_ms: int) -> bool:
        """Whether a timer of that kind is due: its time is before ``now_ms``."""
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
        """These timers were written to the store."""
        for key, value in records:
            kind = kind_of_timer(key)
            none_before = self._none_before.get(kind)
            if none_before is None:
                continue
            if value is None and key == none_before:
                self._exact.discard(kind)  # ask again, from there on
            elif value is not None and key < none_before:
                self._none_before[kind] = key

    def clear(self) -> None:
        """The store was changed in another way: nothing is known."""
        self._none_before.clear()
        self._exact.clear()
