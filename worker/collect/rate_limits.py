"""How much a write key may send: token buckets for its requests, events and bytes.

Decides when a request is too many, and after how many seconds it may be sent again. A bucket holds what a
second allows, so a second's worth may come at once. Knows no clock: the time is an argument. Invariants: a
key without rates costs nothing; over any time t a key has at most ``rate * (t + 1)`` requests, and of events
and bytes at most one request more than that.
"""

import math

from worker.collect.write_keys import WriteKey

_ROUNDING = 1e-6
"""Who waits exactly as long as asked for is not sent away by the last bit of a float."""


class RateLimits:
    """The buckets of all keys of a process, by name: a key whose rates change keeps what it has used."""

    def __init__(self) -> None:
        self._used: dict[str, _Used] = {}

    def wait_s(self, key: WriteKey, body_bytes: int, now: float) -> int:
        """0: the request may come, and is counted. Else the whole seconds until the next one may.

        ``now`` in monotonic seconds. A refused request is not counted. One that is larger than a second's
        worth is accepted too, and the next ones wait the longer.
        """
        if not (key.requests_per_s or key.events_per_s or key.bytes_per_s):
            return 0
        used = self._used_now(key, now)
        longest = max(
            _wait_s(used.requests, key.requests_per_s),
            _wait_s(used.events, key.events_per_s),
            _wait_s(used.bytes, key.bytes_per_s),
        )
        if longest > 0:
            return math.ceil(longest)
        used.requests += 1 if key.requests_per_s else 0
        used.bytes += body_bytes if key.bytes_per_s else 0
        return 0

    def count_events(self, key: WriteKey, events: int, now: float) -> None:
        """Count the events of a request that ``wait_s`` accepted, now that they are known."""
        if key.events_per_s:
            self._used_now(key, now).events += events

    def count_inflated(self, key: WriteKey, more_bytes: int, now: float) -> None:
        """Count what a compressed body of such a request took more when it was inflated."""
        if key.bytes_per_s and more_bytes > 0:
            self._used_now(key, now).bytes += more_bytes

    def _used_now(self, key: WriteKey, now: float) -> "_Used":
        used = self._used.get(key.name)
        if used is None:
            used = self._used[key.name] = _Used(now)
        elapsed_s = max(0.0, now - used.at)
        used.at = max(used.at, now)
        used.requests = max(0.0, used.requests - elapsed_s * key.requests_per_s)
        used.events = max(0.0, used.events - elapsed_s * key.events_per_s)
        used.bytes = max(0.0, used.bytes - elapsed_s * key.bytes_per_s)
        return used


class _Used:
    """What is missing in the buckets of a key, as of the time ``at``."""

    __slots__ = ("at", "bytes", "events", "requests")

    def __init__(self, at: float) -> None:
        self.at = at
        self.requests = self.events = self.bytes = 0.0


def _wait_s(used: float, rate: int) -> float:
    """Seconds until one request, event or byte is left of what a second allows; 0 without a rate."""
    return (used + 1 - _ROUNDING - rate) / rate if rate else 0.0
