"""When a draft was opened, and to which offsets it goes. What is in it, the engine knows.

Knows offsets only. Invariants: ``next_offsets`` belong to exactly the records that the engine's draft holds,
but for offsets that hold no record, which may be passed besides; they never go back.
"""

from collections.abc import Mapping

from worker.engine.protocol import Counters
from worker.model.state import Meta


class OpenDraft:
    """A draft on top of ``base``, opened at that monotonic second."""

    def __init__(self, base: Meta, opened_at: float) -> None:
        self._base = base
        self.opened_at = opened_at
        self.next_offsets = dict(base.next_offsets)

    def is_empty(self, counters: Counters) -> bool:
        """Whether there is nothing to commit; ``counters`` are the engine's."""
        return not counters.records and not counters.timers and self.next_offsets == self._base.next_offsets

    def pass_to(self, next_offsets: Mapping[str, int]) -> None:
        """Move on to these offsets, past what holds no record: markers, aborted and compacted records."""
        for topic, offset in next_offsets.items():
            self.next_offsets[topic] = max(self.next_offsets[topic], offset)
