"""The wall clock by which silent sessions close, checked against other clocks.

Decides what contradicts the machine's clock: a jump of its own, brokers' clocks, and the record times that
producers set. A broker's clock is known where a topic has ``LogAppendTime`` (the repartition topic has) and a
record arrives while the task is caught up. Only brokers' clocks delay the closing; the others prove nothing
and are a warning. Knows no session. Invariant: where wall clock and brokers differ, sessions close by the
earlier of the two, because a session that closes late harms nobody.
"""

from collections.abc import Collection

from worker import telemetry
from worker.model.records import Records
from worker.model.rules import SessionRules
from worker.model.state import Meta
from worker.ports import Clock

_TOLERANCE_MS = 60_000
"""Clocks with NTP differ by less, and records take less time to arrive."""

_FAR_AHEAD_MS = 86_400_000
"""No held time of an event can be so far ahead: a record's time is wrong, or this machine's clock."""

_WINDOW_S = 60.0
"""Producers' times are compared over this window; the best one counts, because some devices are wrong."""


class WallClock:
    """The checked wall clock of a process, shared by its tasks."""

    def __init__(self, clock: Clock, rules: SessionRules) -> None:
        self._clock = clock
        self._producers_tolerance_ms = max(_TOLERANCE_MS, rules.gap_ms + rules.grace_ms)
        self._offset_ms = self._wall_minus_monotonic_ms()
        self._brokers_offset_ms: int | None = None  # brokers' clock minus the monotonic one, or more
        self._producers_ms: int | None = None  # in this window: the difference to wall clock nearest to 0
        self._window_ends = 0.0
        self._differs: set[str] = set()
        self._far_ahead: set[int] = set()  # partitions

    def wall_ms(self) -> int:
        """Ms since the epoch: this machine's, or the brokers' where that is clearly earlier."""
        wall_ms, offset_ms = self._clock.wall_ms(), self._wall_minus_monotonic_ms()
        jump_ms, self._offset_ms = offset_ms - self._offset_ms, offset_ms
        if abs(jump_ms) > _TOLERANCE_MS:
            _log_skew("itself", jump_ms)
        if self._brokers_offset_ms is None:
            return wall_ms
        ahead_ms = offset_ms - self._brokers_offset_ms
        self._compare("brokers", ahead_ms, _TOLERANCE_MS)
        return wall_ms - ahead_ms if ahead_ms > _TOLERANCE_MS else wall_ms

    def arrived(self, records: Records, timed_by_brokers: Collection[str]) -> None:
        """Compare clocks with the last of records that arrived now; brokers timed ``timed_by_brokers``."""
        timestamp_ms = records.times_ms()[-1]
        if timestamp_ms < 0:
            return
        offset_ms = timestamp_ms - round(self._clock.monotonic() * 1000)
        if records.topic in timed_by_brokers:  # the record that took the least time to arrive says most
            known = self._brokers_offset_ms
            self._brokers_offset_ms = offset_ms if known is None else max(known, offset_ms)
            return
        ahead_ms = self._wall_minus_monotonic_ms() - offset_ms
        if self._producers_ms is None:
            self._window_ends = self._clock.monotonic() + _WINDOW_S
        if self._producers_ms is None or abs(ahead_ms) < abs(self._producers_ms):
            self._producers_ms = ahead_ms
        if self._clock.monotonic() >= self._window_ends:
            self._compare("producers", self._producers_ms, self._producers_tolerance_ms)
            self._producers_ms = None

    def committed(self, partition: int, meta: Meta) -> None:
        """Log once a partition where its watermark is far ahead of this clock: sessions then close early."""
        ahead_ms = meta.watermark_ms - self._clock.wall_ms()
        if ahead_ms > _FAR_AHEAD_MS and partition not in self._far_ahead:
            self._far_ahead.add(partition)
            telemetry.emit(
                telemetry.WatermarkAhead(
                    partition=partition,
                    ahead_s=round(ahead_ms / 1000, 1),
                    next_offsets=meta.next_offsets,
                )
            )

    def _wall_minus_monotonic_ms(self) -> int:
        return self._clock.wall_ms() - round(self._clock.monotonic() * 1000)

    def _compare(self, against: str, ahead_ms: int, tolerance_ms: int) -> None:
        """Log where they begin to differ, and where they agree again."""
        differ = abs(ahead_ms) > tolerance_ms
        if differ != (against in self._differs):
            self._differs ^= {against}
            _log_skew(against, ahead_ms)


def _log_skew(against: str, ahead_ms: int) -> None:
    telemetry.emit(telemetry.ClockSkew(against=against, skew_s=round(ahead_ms / 1000, 1)))
