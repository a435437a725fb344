"""Whether anything can be stored, and how that is logged: ``collect.kafka_away`` and ``collect.kafka_back``.

Decides when the brokers count as away. Must not know why, nor what is answered meanwhile: the reason is an
argument. The invariant: each time that nothing can be stored is one pair of lines, however long it lasts.
"""

from worker import telemetry

_STARTING_S = 5.0
"""Brokers that answer within this after the start were never away."""


class KafkaWatch:
    """Looks again and again, and logs the changes. Seconds are those of a clock that never goes back."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._stores = False
        self._logged = False
        self._has_stored = False

    def look(self, now: float, stores: bool, reason: str) -> None:
        """Note whether records can be stored ``now``; ``reason`` says why not."""
        if stores:
            if self._logged:
                telemetry.emit(telemetry.CollectKafkaBack(away_s=round(now - self._since, 1)))
            self._stores, self._has_stored, self._logged = True, True, False
            return
        if self._stores:
            self._stores, self._since = False, now
        if not self._logged and (self._has_stored or now - self._since >= _STARTING_S):
            self._logged = True
            telemetry.emit(telemetry.CollectKafkaAway(reason=reason))
