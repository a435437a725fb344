"""What a request becomes: every element is in one record or refused, and the worker makes the same of it."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Raw, json

from tests.properties.raw_values import decoder, limits, values
from worker.collect.batches import (
    CONTEXT_NAME,
    DeviceEvents,
    forwarded,
    refuse_too_long,
    split,
)
from worker.collect.forms import read_form
from worker.model.events import Event, Rejection

CONTEXT = b'{"ip":"192.0.2.0"}'
MOST_BYTES = limits.max_value_bytes
few = settings(max_examples=500)  # each decodes several times
GOOD = b'{"id":"e1","type":"view","device_id":"d1","timestamp":1764453600000}'


def records_of(value: bytes, context: bytes = b"", most_bytes: int = MOST_BYTES) -> list[DeviceEvents]:
    decoded = decoder.decode(value)
    return split(value, decoded, decoder, context, most_bytes) if decoded.events else []


def events_of(records: list[DeviceEvents]) -> dict[int, Event]:
    """The events that the worker finds in the records, by their places in the request."""
    found: dict[int, Event] = {}
    for record in records:
        decoded = decoder.decode(record.value)
        assert not decoded.rejections
        for place, event in zip(record.places, decoded.events, strict=True):
            assert place is not None
            assert place not in found
            found[place] = event
    return found


def properties(extra: bytes) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in json.decode(extra, type=dict[str, Raw]).items()}


def reasons(rejections: Sequence[Rejection]) -> Counter[str]:
    return Counter(each.reason for each in rejections)


def details(rejections: Sequence[Rejection]) -> Counter[str]:
    return Counter(each.detail for each in rejections)


@few
@given(values)
def test_every_element_is_in_one_record_or_refused(value: bytes) -> None:
    decoded = decoder.decode(value)
    places = [place for record in records_of(value) for place in record.places]
    refused = [each.index for each in decoded.rejections]
    assert len(set(places)) == len(places) == len(decoded.events)
    assert not set(places) & set(refused)


@few
@given(values)
def test_the_worker_finds_the_same_events_in_the_records(value: bytes) -> None:
    found = events_of(records_of(value))
    assert json.encode([found[place] for place in sorted(found)]) == json.encode(decoder.decode(value).events)


@few
@given(values)
def test_a_record_is_of_one_device_and_each_device_has_one(value: bytes) -> None:
    records = records_of(value)
    assert len({record.device_id for record in records}) == len(records)
    for record in records:
        devices = {event.device_id for event in decoder.decode(record.value).events}
        assert devices == {record.device_id}
        assert list(record.places) == sorted(place for place in record.places if place is not None)


@few
@given(values)
def test_the_bytes_are_the_senders_own(value: bytes) -> None:
    elements = decoder.elements(value) if decoder.decode(value).events else []
    for record in records_of(value):
        if record.value != value:
            own = [elements[place] for place in record.places if place is not None]
            assert record.value == b"[" + b",".join(own) + b"]"


@few
@given(values)
@example(b"[,{}]")
@example(b"[,]")
@example(b"[1,]")
@example(b"[1]]")
@example(b'[1,{"a":')
@example(GOOD + b"\0")
@example(b"[%b,]" % GOOD)
@example(b"[,%b]]" % GOOD)
def test_the_worker_refuses_of_the_forwarded_bytes_what_was_refused(value: bytes) -> None:
    decoded = decoder.decode(value)
    if not decoded.rejections:
        return
    sent = forwarded(value, decoded, decoder)
    again = [decoder.decode(record.value) for record in sent]
    assert not any(each.events for each in again)
    refused = [rejection for each in again for rejection in each.rejections]
    assert len(refused) == len(decoded.rejections)
    # A comma that no element follows is nothing alone, and is refused in other words.
    if all(each.payload[:1] not in {b"", b"]"} for each in decoded.rejections):
        assert words(refused) == words(decoded.rejections)
    assert [place for record in sent for place in record.places] == [
        each.index for each in decoded.rejections
    ]


@few
@given(values, st.sampled_from([1, 100, MOST_BYTES]))
def test_context_is_added_and_nothing_else_changes(value: bytes, most_bytes: int) -> None:
    whole = decoder.decode(value)
    decoded = refuse_too_long(value, whole, decoder, CONTEXT, limits.max_object_bytes)
    assert len(decoded.events) + len(decoded.rejections) == len(whole.events) + len(whole.rejections)
    if not decoded.events:
        return
    found = events_of(split(value, decoded, decoder, CONTEXT, most_bytes))
    assert len(found) == len(decoded.events)
    for event, place in zip(decoded.events, sorted(found), strict=True):
        after = properties(found[place].extra)
        assert after.pop(CONTEXT_NAME.decode()) == CONTEXT
        before = properties(event.extra) if event.extra else {}
        before.pop(CONTEXT_NAME.decode(), None)
        assert after == before
        assert found[place].id == event.id


def words(rejections: Sequence[Rejection]) -> Counter[tuple[str, str]]:
    return Counter((each.reason, each.detail) for each in rejections)


forged = st.sampled_from(
    [
        b'"collector":{"ip":"203.0.113.9"}',
        b'"collect\\u006fr":{"ip":"203.0.113.9"}',
        b'"collector":null',
        b'"collector":1,"collector":{"ip":"203.0.113.9"}',
    ]
)


@few
@given(st.lists(forged, max_size=3), st.booleans())
def test_a_sender_cannot_forge_the_context(members: list[bytes], behind: bool) -> None:
    event = b'"id":"e1","type":"view","device_id":"d1","timestamp":1764453600000'
    parts = [event, *members] if behind else [*members, event]
    value = b"{" + b" , ".join(parts) + b" }"
    decoded = decoder.decode(value)
    assert len(decoded.events) == 1
    (record,) = split(value, decoded, decoder, CONTEXT, MOST_BYTES)
    (enriched,) = decoder.decode(record.value).events
    assert json.decode(enriched.extra) == {"collector": json.decode(CONTEXT)}


@few
@given(values, st.sampled_from(["events", "batch"]), st.booleans())
def test_an_array_in_an_envelope_is_as_the_array_alone(value: bytes, name: str, key_first: bool) -> None:
    array = b"[" + value.strip().removeprefix(b"[").removesuffix(b"]") + b"]"
    alone = decoder.decode(array)
    if any(each.index is None for each in alone.rejections):
        return  # the array has ended before its last bracket, so the envelope is another
    parts = [b'"write_key":"wk_1"', b'"%b": %b' % (name.encode(), array)]
    body = read_form(b"{" + b",".join(parts if key_first else parts[::-1]) + b"}", 8, 5)
    if alone.rejections and alone.rejections[-1].index == len(decoder.elements(array)):
        return  # cut off: where the array ends cannot be known
    assert body.value.rstrip() == array
    assert body.write_key == b"wk_1"


@few
@given(values)
def test_a_body_that_is_no_envelope_is_its_own_value(value: bytes) -> None:
    assert read_form(value, 8, 5).value == value
