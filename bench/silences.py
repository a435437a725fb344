"""From the arrivals of a partition's outputs to what an observer would say: how long it was silent.

Pure: knows neither Kafka nor clocks nor what broke. Under a steady load an undisturbed partition is silent
for about a commit interval, so what is much longer is the disturbance.
"""

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

FRESH_S = 1.0


class Arrival(Struct, frozen=True, gc=False):
    """One committed output: when it was seen, and how old its raw record was then. Seconds."""

    at_s: float
    age_s: float


class Silence(Struct, frozen=True):
    """A partition around a disturbance, in seconds. ``longest_s``: the longest time without an output that
    ends after it. ``caught_up_after_s``: from the disturbance until outputs are at most ``FRESH_S`` old.
    """

    longest_s: float
    caught_up_after_s: float


def silence(arrivals: Sequence[Arrival], disturbed_at_s: float) -> Silence:
    """What a disturbance did to one partition. Raises ValueError when there was no output after it."""
    silences = [
        after.at_s - before.at_s for before, after in pairwise(arrivals) if after.at_s > disturbed_at_s
    ]
    if not silences:
        raise ValueError("no output after the disturbance")
    old = [seen.at_s for seen in arrivals if seen.at_s > disturbed_at_s and seen.age_s > FRESH_S]
    return Silence(
        longest_s=max(silences),
        caught_up_after_s=max(old, default=disturbed_at_s) - disturbed_at_s,
    )


def is_flowing(arrivals: Sequence[Arrival], now_s: float, for_s: float) -> bool:
    """Whether the partition's outputs have been fresh for so long, up to now."""
    recent = [seen for seen in arrivals[-10_000:] if seen.at_s > now_s - for_s]
    return (
        bool(recent)
        and now_s - recent[-1].at_s < FRESH_S
        and recent[0].at_s < now_s - for_s + FRESH_S
        and all(seen.age_s <= FRESH_S for seen in recent)
    )
