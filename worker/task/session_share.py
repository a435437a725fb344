"""How many events are in no session, of which types, and when that is most of them.

Decides what is worth a line in the log, and how often. Must not know why an event is in no session. The
invariants: memory does not grow with the number of types, and traffic that stays as it is gives ever fewer
lines.
"""

from collections import Counter
from collections.abc import Mapping

from worker.telemetry import EventsWithoutSession

ENOUGH_EVENTS = 1_000
"""So many events are looked at together: of fewer, one device that idles could be the most."""

SHOWN_TYPES = 5
SHOWN_CHARACTERS = 40
KEPT_TYPES = 100


def add_types(counts: Counter[str], more: Mapping[str, int]) -> None:
    """Add counts by type. Of more than 200 types only the 100 most frequent are kept."""
    counts.update(more)
    if len(counts) > 2 * KEPT_TYPES:
        kept = counts.most_common(KEPT_TYPES)
        counts.clear()
        counts.update(dict(kept))


def most_frequent(counts: Counter[str]) -> dict[str, int]:
    """The 5 most frequent types, the first 40 characters of each; of equals the first by name."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown: Counter[str] = Counter()
    for name, number in ordered[:SHOWN_TYPES]:
        short = name if len(name) <= SHOWN_CHARACTERS else name[: SHOWN_CHARACTERS - 1] + "…"
        shown[short] += number
    return dict(shown)


class SessionShare:
    """Looks at the events of all partitions, a thousand or more at a time."""

    def __init__(self) -> None:
        self._events = 0
        self._without = 0
        self._types: Counter[str] = Counter()
        self._found = 0  # how often it was more than half, since it was less than a quarter

    def add(self, events: int, without: int, types: Mapping[str, int]) -> EventsWithoutSession | None:
        """Count ``events`` that were enriched, ``without`` of them in no session, by type.

        Returns what to log: the first, second, fourth, eighth ... time that more than half are in no session.
        Less than a quarter begins again; in between nothing changes, so that a share about a half is not
        logged again and again.
        """
        self._events += events
        self._without += without
        add_types(self._types, types)
        if self._events < ENOUGH_EVENTS:
            return None
        events, without = self._events, self._without
        shown = most_frequent(self._types)
        self._events = self._without = 0
        self._types.clear()
        if 4 * without < events:
            self._found = 0
        if 2 * without <= events:
            return None
        self._found += 1
        if self._found & (self._found - 1):
            return None
        return EventsWithoutSession(events=events, without_session=without, types=shown)
