"""Reads the elements of a value that is not as it should be.

Runs of good ones are read on the fast path, for one bad event in a batch of good ones, and the others by
``core.quick_checks``. Decides which elements are tried together, and where a caller may do something else in
between; validates none. Invariants: never
raises; every element is in exactly one of the two lists, in order, as the slow path would have it.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from worker.core.fast_path import FastPath
from worker.core.outcomes import sort_outcomes
from worker.core.quick_checks import QuickChecks
from worker.core.remembered_refusals import RefusalCache
from worker.model.events import Event, Rejection

_RUN = 32
"""So many elements of a broken value are tried together on the fast path."""
_LONG_RUN = 512
"""So many are read one by one before the next."""
_RUN_BYTES = 32 * 1024
"""A run ends with the element that makes it so long: 1 to 3 ms, whatever is in it."""
_MOST_IN_VAIN = 8
"""Where that many more trials failed than helped, no more are made."""


class ManyElements:
    """Reads elements by the given rules. Holds no state."""

    def __init__(self, fast_path: FastPath, checks: QuickChecks) -> None:
        self._fast_path = fast_path
        self._checks = checks

    def read(self, elements: Sequence[bytes], events: list[Event], rejections: list[Rejection]) -> None:
        """Add what becomes of each element to one of the two lists."""
        for _ in self.steps(elements, events, rejections):
            pass

    def steps(
        self, elements: Sequence[bytes], events: list[Event], rejections: list[Rejection]
    ) -> Iterator[None]:
        """The same, run by run: the lists are whole at the end."""
        refusals = RefusalCache()
        in_vain = 0 if len(elements) > 1 else _MOST_IN_VAIN  # one element has been tried as the value itself
        start = 0
        while start < len(elements):
            alone = in_vain >= _MOST_IN_VAIN
            run = _run_of(elements, start, _LONG_RUN if alone else _RUN)
            found = None if alone else self._fast_path.decode_plain(b"[%b]" % b",".join(run))
            # One that is nothing at all, between two commas, does not count when it is alone.
            if found is not None and len(found.events) + len(found.rejections) == len(run):
                events += found.events
                rejections += [_moved(refusal, start) for refusal in found.rejections]
                in_vain -= 1
            else:
                self._read_each(run, start, events, rejections, refusals)
                in_vain += 1
            start += len(run)
            yield

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


def _run_of(elements: Sequence[bytes], start: int, most: int) -> Sequence[bytes]:
    """The next elements, up to so many, or to as many as are long together; at least one."""
    run = elements[start : start + most]
    if sum(map(len, run)) <= _RUN_BYTES:
        return run
    sizes = accumulate(map(len, run))
    return run[: 1 + next(place for place, size in enumerate(sizes) if size > _RUN_BYTES)]


def _moved(refusal: Rejection, places: int) -> Rejection:
    index = None if refusal.index is None else refusal.index + places
    return Rejection(refusal.reason, refusal.detail, index, refusal.payload)
