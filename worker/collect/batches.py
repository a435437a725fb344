"""One value of a request becomes records of single devices, and refused elements.

Decides which elements go together, as which bytes, and where the request's context is put into them; must not
know keys, answers or brokers. The decoder validates. Invariants: every element is in exactly one record or
refused; records have the elements of one device in the order of the array, as the sender's own bytes; the
worker makes of them the events that it would have made of the value, and of the forwarded bytes the same
refusals.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Protocol

from msgspec import Struct, structs

from worker.model.events import DecodedValue, Event, Rejection

CONTEXT_NAME = b"collector"
"""The property of events that holds what the collector knows of their request. Of a repeated name the last
counts, so that a sender's own does not.
"""

_UNSURE_BYTES = 16
"""``extra`` is measured as the worker writes it, which may take a few bytes more than what was sent."""

_OPENING = b"[   "
"""The beginning of an array. A NUL among the first four bytes of a value would make it look like UTF-16."""


class BatchDecoder(Protocol):
    """Validates the elements of a value, as ``core.decode.Decoder`` does."""

    def decode(self, value: bytes) -> DecodedValue:
        """The events in a value, and what of it was refused. Never raises."""

    def decode_in_steps(self, value: bytes) -> Generator[int, None, DecodedValue]:
        """The same, in steps of a few ms. Each gives the number of elements."""

    def elements(self, value: bytes) -> list[bytes]:
        """The JSON texts of a value's elements, in order, whether they became events or were refused."""


class DeviceEvents(Struct, frozen=True, gc=False):
    """The value of one record. ``places`` are those of its events in the request's array.

    ``device_id`` is None where they are refused elements; a place is then None for a whole body, or for what
    follows the end of an array.
    """

    device_id: str | None
    value: bytes
    places: Sequence[int | None]


def split(
    value: bytes, decoded: DecodedValue, decoder: BatchDecoder, context: bytes, most_bytes: int
) -> list[DeviceEvents]:
    """One record a device, in the order in which the devices first appear. ``decoded`` is of this value.

    ``context``: a JSON object that each event gets; empty for none. Where that would make a record larger
    than ``most_bytes``, the device has more than one.
    """
    events = decoded.events
    if not context and not decoded.rejections and _is_of_one_device(events):
        return [DeviceEvents(events[0].device_id, value, range(len(events)))]
    elements = decoder.elements(value)
    by_device: dict[str, list[int]] = {}
    for place, event in zip(_accepted_places(decoded), events, strict=False):
        by_device.setdefault(event.device_id, []).append(place)
    if context:
        elements = [_with_context(element, context) for element in elements]
        return [
            _device_events(device_id, elements, piece)
            for device_id, places in by_device.items()
            for piece in _pieces(elements, places, most_bytes)
        ]
    return [_device_events(device_id, elements, places) for device_id, places in by_device.items()]


def refuse_too_long(
    value: bytes, decoded: DecodedValue, decoder: BatchDecoder, context: bytes, most_extra_bytes: int
) -> DecodedValue:
    """The same, with those events refused whose ``extra`` is over its limit when they have the context."""
    spare_bytes = most_extra_bytes - len(context) - len(CONTEXT_NAME) - _UNSURE_BYTES
    if all(len(event.extra) <= spare_bytes for event in decoded.events):
        return decoded
    elements = decoder.elements(value)
    events: list[Event] = []
    rejections = list(decoded.rejections)
    for place, event in zip(_accepted_places(decoded), decoded.events, strict=False):
        element = elements[place]
        refused = (
            decoder.decode(_with_context(element, context)).rejections
            if len(event.extra) > spare_bytes
            else ()
        )
        if refused:
            rejections.append(structs.replace(refused[0], index=place, payload=element))
        else:
            events.append(event)
    return DecodedValue(events, sorted(rejections, key=_place))


def forwarded(value: bytes, decoded: DecodedValue, decoder: BatchDecoder) -> list[DeviceEvents]:
    """The refused bytes of a value, as values of which the worker refuses the same, and nothing else."""
    rejections = decoded.rejections
    if not decoded.events and len(rejections) == 1 and rejections[0].index is None:
        return [DeviceEvents(None, value, (None,))]
    inside = [each for each in rejections if each.index is not None]
    behind = [
        DeviceEvents(None, _OPENING + b"]" + each.payload, (None,))
        for each in rejections
        if each.index is None
    ]
    if not inside:
        return behind
    *payloads, last = [each.payload for each in inside]
    places = [each.index for each in inside if each.index is not None]
    if last == b"]" or not last:  # a comma that no element follows, or nothing at all: the same when cut off
        last = b""
    elif places[-1] < len(decoder.elements(value)):  # else it was cut off, and stays so
        last += b"]"
    return [DeviceEvents(None, _OPENING + b",".join([*payloads, last]), places), *behind]


def _is_of_one_device(events: Sequence[Event]) -> bool:
    first = events[0].device_id
    return len(events) == 1 or all(event.device_id == first for event in events)


def _accepted_places(decoded: DecodedValue) -> Iterator[int]:
    """The place in the array of each accepted event, in order, and perhaps some more."""
    refused = {rejection.index for rejection in decoded.rejections}
    return (place for place in range(len(decoded.events) + len(refused)) if place not in refused)


def _device_events(device_id: str, elements: Sequence[bytes], places: Sequence[int]) -> DeviceEvents:
    return DeviceEvents(device_id, b"[%b]" % b",".join([elements[place] for place in places]), places)


def _with_context(element: bytes, context: bytes) -> bytes:
    """An element that was accepted, so it is an object with properties, which has the context behind them."""
    return b'%b,"%b":%b}' % (element[:-1], CONTEXT_NAME, context)


def _pieces(elements: Sequence[bytes], places: Sequence[int], most_bytes: int) -> Iterator[list[int]]:
    """Runs of places whose elements take at most ``most_bytes`` together, or are one."""
    piece: list[int] = []
    size_bytes = 0
    for place in places:
        more_bytes = len(elements[place]) + 1
        if piece and size_bytes + more_bytes > most_bytes:
            yield piece
            piece, size_bytes = [], 0
        piece.append(place)
        size_bytes += more_bytes
    yield piece


def _place(rejection: Rejection) -> float:
    return float("inf") if rejection.index is None else rejection.index
