"""Brings what time does to silent devices into a task's drafts: sessions close, devices are forgotten.

Decides by which instant: sessions close by the committed watermark, and by the wall clock where nothing is
left to read, so that the last session of a quiet stream closes; devices are forgotten by the expiry clock. A
partition that lags, restores or cannot hear its broker never looks at the wall clock. Invariant: it works on
committed states only, before any record of the draft, and a bounded number of devices a draft: a burst takes
several transactions, and heartbeats go on between them.
"""

from collections.abc import Sequence
from typing import Protocol

from worker.core.closing import TimerResult, run_timers
from worker.core.expiry import clock_ms
from worker.core.state_codec import device_of_timer
from worker.model.rules import Rules
from worker.model.state import Meta
from worker.ports import Source, StateRecord, StateStore
from worker.task.device_cache import states_of
from worker.task.draft import Draft
from worker.task.live_states import LiveStates
from worker.task.timer_index import TimerIndex

TIMERS_A_DRAFT = 1_000


class TimeOfDay(Protocol):
    """``wall_clock.WallClock``, or a clock that nobody doubts."""

    def wall_ms(self) -> int:
        """Ms since the epoch."""
        ...


class TimerService:
    """The timers of one task."""

    def __init__(
        self, rules: Rules, source: Source, store: StateStore, clock: TimeOfDay, live_states: LiveStates
    ) -> None:
        self._rules = rules
        self._source = source
        self._store = store
        self._clock = clock
        self._live_states = live_states
        self._index = TimerIndex(store)

    def is_due(self, committed: Meta | None) -> bool:
        """Whether a session is due to close, or a device to be forgotten, while there is nothing to step."""
        if committed is None:
            return False
        closing_ms = self._closing_time_ms(committed.watermark_ms, nothing_pending=True)
        return self._index.is_due("close", closing_ms) or self._index.is_due(
            "expire", clock_ms(committed.expiry, self._rules)
        )

    def run_due(self, draft: Draft, most: int = TIMERS_A_DRAFT, *, nothing_pending: bool) -> TimerResult:
        """Run the timers that are due on top of an empty draft, at most ``most`` of them.

        ``nothing_pending``: no record that the source has returned is still to be stepped.
        """
        expiry_ms = clock_ms(draft.expiry, self._rules)
        now_ms = self._closing_time_ms(draft.watermark_ms, nothing_pending=nothing_pending)
        fired = self._index.due("close", now_ms, most)
        fired += self._index.due("expire", expiry_ms, most - len(fired))
        device_ids = dict.fromkeys(map(device_of_timer, fired))
        states = states_of(device_ids, draft.states, self._live_states, self._store)
        result = run_timers(states, expiry_ms, now_ms, self._rules)
        result.fired = fired
        return result

    def written(self, timer_records: Sequence[StateRecord]) -> None:
        """The store has taken in these timers."""
        self._index.written(timer_records)

    def restored(self) -> None:
        """The store has changed otherwise."""
        self._index.clear()

    def _closing_time_ms(self, watermark_ms: int, *, nothing_pending: bool) -> int:
        if nothing_pending and self._source.lag().caught_up:
            return max(watermark_ms, self._clock.wall_ms())
        return watermark_ms
