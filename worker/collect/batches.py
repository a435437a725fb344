"""One value of a request becomes records of single devices, and refused elements.

Decides which elements go together and as which bytes; must not know keys, answers or brokers. The decoder
validates. Invariants: every element is in exactly one record or refused; a record has the events of one
device in the order of the array, as the sender's own bytes; the worker makes of the records the events that
it would have made of the value, and of the forwarded bytes the same refusals.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from worker.model.events import DecodedValue, Event, Rejection

ElementsOf = Callable[[bytes], Sequence[bytes]]
"""The JSON texts of a value's elements, in order."""


class DeviceEvents(Struct, frozen=True):
    """The value of one record. ``places`` are those of its events in the request's array.

    ``device_id`` is None where they are refused elements; a place is then None for a whole body, or for what
    follows the end of an array.
    """

    device_id: str | None
    value: bytes
    places: Sequence[int | None]


def split(value: bytes, decoded: DecodedValue, elements_of: ElementsOf) -> list[DeviceEvents]:
    """One record a device, in the order in which the devices first appear. ``decoded`` is of this value."""
    events, rejections = decoded.events, decoded.rejections
    if not rejections and _is_of_one_device(events):
        return [DeviceEvents(events[0].device_id, value, range(len(events)))]
    refused = {rejection.index for rejection in rejections}
    accepted = (place for place in range(len(events) + len(refused)) if place not in refused)
    by_device: dict[str, list[int]] = {}
    for place, event in zip(accepted, events, strict=False):
        by_device.setdefault(event.device_id, []).append(place)
    elements = elements_of(value)
    return [
        DeviceEvents(device_id, b"[%b]" % b",".join([elements[place] for place in places]), places)
        for device_id, places in by_device.items()
    ]


def _is_of_one_device(events: Sequence[Event]) -> bool:
    first = events[0].device_id
    return len(events) == 1 or all(event.device_id == first for event in events)


def forwarded(value: bytes, decoded: DecodedValue, elements_of: ElementsOf) -> DeviceEvents:
    """The refused bytes of a value, which has some, as a value of which the same is refused."""
    rejections = decoded.rejections
    places = [rejection.index for rejection in rejections]
    if not decoded.events and len(rejections) == 1 and rejections[0].index is None:
        return DeviceEvents(None, value, places)
    elements = len(elements_of(value))
    inside = [each for each in rejections if each.index is not None]
    closed = b"]" if _is_closed(inside, elements) else b""
    after = b"".join([each.payload for each in rejections if each.index is None])
    return DeviceEvents(
        None, b"[%b%b%b" % (b",".join([each.payload for each in inside]), closed, after), places
    )


def _is_closed(inside: Sequence[Rejection], elements: int) -> bool:
    """Whether the last of the refused elements ended, and so the array.

    One that was cut off did not. One without bytes is none at all in front of a closing bracket.
    """
    if not inside:
        return True
    last = inside[-1]
    return last.index is not None and last.index < elements and bool(last.payload)
