"""Sorts the outcomes of a batch's elements into events and rejections, each with its place.

Knows places and validates nothing. Invariant: every element is in exactly one of the two lists, in order.
"""

from collections.abc import Iterable

from msgspec import Raw

from worker.core.refusals import Refusal
from worker.model.events import Event, Rejection


def sort_outcomes(
    elements: Iterable[bytes | Raw],
    outcomes: Iterable[Event | Refusal],
    start: int,
    events: list[Event],
    rejections: list[Rejection],
) -> None:
    """Add each outcome to one of the two lists; the first element has the index ``start``."""
    for index, (element, outcome) in enumerate(zip(elements, outcomes, strict=True), start):
        if isinstance(outcome, tuple):
            reason, detail = outcome
            rejections.append(Rejection(reason, detail, index, bytes(element)))
        else:
            events.append(outcome)
