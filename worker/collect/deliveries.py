"""What the deliveries of a request's records make of its answer.

Decides which events the sender is asked to send again; must not know brokers. Invariants: an answer of 200
has every accepted event stored; what is "not stored" in an answer is surely not; an element is in one list
only.
"""

from collections.abc import Iterable, Sequence

from worker.collect import answers
from worker.collect.answers import Answer, RefusedElement
from worker.collect.batches import DeviceEvents
from worker.ports import Delivery

TOO_LARGE_DETAIL = "the record of its device is larger than the topic allows"


def answer_to(
    records: Sequence[DeviceEvents],
    deliveries: Sequence[Delivery],
    refused: Sequence[RefusedElement],
    received_at_ms: int,
    most_body_bytes: int,
) -> Answer:
    """The answer to a request of which these ``records`` were sent, perhaps none.

    ``refused`` were not accepted, whether their bytes are in a record (of no device) or not.
    """
    if not refused and deliveries.count("stored") == len(deliveries):
        accepted = sum([len(record.places) for record in records])
        return answers.stored(accepted, (), received_at_ms)
    events = [pair for pair in zip(records, deliveries, strict=True) if pair[0].device_id is not None]
    stored = _places(events, {"stored"})
    too_large = _places(events, {"rejected"})
    if too_large:
        found = [RefusedElement(place, "too_large", TOO_LARGE_DETAIL) for place in too_large]
        refused = sorted([*refused, *found], key=_place)
    if "not_sent" not in deliveries and "unknown" not in deliveries:
        return _final(stored, too_large, refused, received_at_ms, most_body_bytes)
    again = _places(zip(records, deliveries, strict=True), {"not_sent", "unknown"})
    if stored:
        return answers.partly_stored(stored, again, refused)
    if "unknown" in deliveries:
        return answers.not_acknowledged(again, refused)
    return answers.unavailable("unavailable")


def _places(pairs: Iterable[tuple[DeviceEvents, Delivery]], of: set[Delivery]) -> list[int]:
    """The places in the request's array of what became one ``of`` these, in order."""
    found = [place for record, delivery in pairs if delivery in of for place in record.places]
    return sorted([place for place in found if place is not None])


def too_large_count(records: Sequence[DeviceEvents], deliveries: Sequence[Delivery]) -> int:
    """How many events were accepted by us and refused by the brokers."""
    if "rejected" not in deliveries:
        return 0
    pairs = zip(records, deliveries, strict=True)
    return len(_places([pair for pair in pairs if pair[0].device_id is not None], {"rejected"}))


def _final(
    stored: Sequence[int],
    too_large: Sequence[int],
    refused: Sequence[RefusedElement],
    received_at_ms: int,
    most_body_bytes: int,
) -> Answer:
    """Where nothing is to be sent again."""
    if stored or not refused:
        return answers.stored(len(stored), refused, received_at_ms)
    if len(too_large) == len(refused):
        return answers.over_limit(413, "too_large", most_body_bytes)
    return answers.none_accepted(refused)


def _place(element: RefusedElement) -> float:
    return float("inf") if element.index is None else element.index
