"""Reads the elements of a value that is not as it should be.

Runs of good ones are read on the fast path, for one bad event in a batch of good ones, and the others by
``core.quick_checks``. Decides which elements are tried together, and validates none. Invariants: never
raises; every element is in exactly one of the two lists, in order, as the slow path would have it.
"""

from collections.abc import Sequence

from worker.core.fast_path import FastPath
from worker.core.outcomes import sort_outcomes
from worker.core.quick_checks import QuickChecks
from worker.core.remembered_refusals import RefusalCache
from worker.model.events import Event, Rejection

_RUN = 32
"""So many elements of a broken value are tried together on the fast path."""
_MOST_IN_VAIN = 8
"""Where that many more trials failed than helped, no more are made."""


class ManyElements:
    """Reads elements by the given rules. Holds no state."""

    def __init__(self, fast_path: FastPath, checks: QuickChecks) -> None:
        self._fast_path = fast_path
        self._checks = checks

    def read(self, elements: Sequence[bytes], events: list[Event], rejections: list[Rejection]) -> None:
        """Add what becomes of each element to one of the two lists."""
        refusals = RefusalCache()
        in_vain = 0 if len(elements) > 1 else _MOST_IN_VAIN  # one element has been tried as the value itself
        start = 0
        while start < len(elements):
            if in_vain >= _MOST_IN_VAIN:
                self._read_each(elements[start:], start, events, rejections, refusals)
                return
            run = elements[start : start + _RUN]
            found = self._fast_path.decode_plain(b"[%b]" % b",".join(run))
            # One that is nothing at all, between two commas, does not count when it is alone.
            if found is not None and len(found.events) + len(found.rejections) == len(run):
                events += found.events
                rejections += [_moved(refusal, start) for refusal in found.rejections]
                in_vain -= 1
            else:
                self._read_each(run, start, events, rejections, refusals)
                in_vain += 1
            start += _RUN

    def _read_each(
        self,
        elements: Sequence[bytes],
        start: int,
        events: list[Event],
        rejections: list[Rejection],
        refusals: RefusalCache,
    ) -> None:
        """The same one by one; the first has the index ``start``."""
        sort_outcomes(elements, self._checks.validate_all(elements, refusals), start, events, rejections)


def _moved(refusal: Rejection, places: int) -> Rejection:
    index = None if refusal.index is None else refusal.index + places
    return Rejection(refusal.reason, refusal.detail, index, refusal.payload)
