"""Decides whether a partition stands still: it has work, and for too long nothing of it was committed.

A pure decision: it is told what tasks have done and what time it is. A partition that is known to have no
work never stands still, and neither does one that restores, as long as its store grows.
"""

from collections.abc import Mapping

from msgspec import Struct


class Progress(Struct, frozen=True):
    """What one task has done. ``caught_up``: it runs, and has nothing to read, as brokers said lately, and
    nothing to commit; after a lost transaction only where a fetch has said so since.

    ``changelog_offset`` grows with each commit and with each piece that is restored; -1 = nothing yet.
    """

    caught_up: bool
    changelog_offset: int


class Standstill:
    """Remembers since when each partition has stood still; ``patience_s`` is how long that is none."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since: dict[int, tuple[int, float]] = {}

    def partitions(self, progress: Mapping[int, Progress], now_s: float) -> dict[int, float]:
        """Partitions that have stood still for more than the patience, and for how many seconds.

        ``now_s`` is monotonic. A partition that is not in ``progress`` is forgotten.
        """
        since = {}
        for partition, seen in progress.items():
            offset, since_s = self._since.get(partition, (seen.changelog_offset, now_s))
            if seen.caught_up or seen.changelog_offset != offset:
                since_s = now_s
            since[partition] = (seen.changelog_offset, since_s)
        self._since = since
        still_s = {partition: now_s - since_s for partition, (_, since_s) in since.items()}
        return {partition: seconds for partition, seconds in still_s.items() if seconds > self._patience_s}
