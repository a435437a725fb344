"""What a device's and a partition's records look like in store and changelog, and what is never misread."""

from collections.abc import Sequence
from typing import Any, get_args

import pytest
from msgspec import json, msgpack

from tests.builders import click, ms
from tests.core_step import step
from worker.core.state_codec import (
    META_KEY,
    SCHEMA_VERSION,
    cold_key,
    decode_meta,
    decode_state,
    device_of_hot_key,
    encode_cold,
    encode_hot,
    encode_meta,
    hot_key,
    times_of,
)
from worker.model.outputs import CloseReason, SessionCause
from worker.model.state import DeviceState, ExpiryClock, Link, Meta, Timeline

META = Meta(
    schema=1,
    incarnation="b2f1",
    raw_topic="events.raw",
    next_offsets={"events.raw": 42},
    watermark_ms=1_772_445_600_000,
    expiry=ExpiryClock(1_772_440_000_000, 2_000),
    partitions=6,
    partitioner="murmur2",
)


def test_a_device_comes_back_as_it_was_written() -> None:
    for state in (new_device(), busy_device()):
        assert decode_state(encode_hot(state), encode_cold(state)) == clean(state)


def test_one_link_is_in_the_hot_record_alone_and_several_come_back_in_order() -> None:
    state = new_device()
    for timeline in (
        Timeline(),
        Timeline((Link(1, "ann"),)),
        Timeline((Link(1, "ann"),), 1),
        Timeline((Link(1, "ann"), Link(2, None))),
        Timeline((Link(1, "a"), Link(2, "b"), Link(3, "a")), 1),
    ):
        state.timeline = timeline
        assert decode_state(encode_hot(state), encode_cold(state)).timeline == timeline


def test_the_common_event_changes_the_hot_record_only() -> None:
    """Then only the hot record is written; the cold one, left as it was, must still be true."""
    before = step(click("d1", at="10:00:00", user="ann")).states
    clean(before["d1"])
    after = step(click("d1", at="10:01:00", user="ann"), states=before).states["d1"]
    assert not after.cold_changed
    assert decode_state(encode_hot(after), encode_cold(before["d1"])) == after


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(click("d1", at="10:01:00", user="bob"), id="a link"),
        pytest.param(click("d1", at="11:00:00"), id="another session"),
        pytest.param(click("d1", at="09:59:00"), id="an earlier start"),
        pytest.param(click("d1", at="10:00:30", session="s1"), id="a client session"),
    ],
)
def test_what_the_hot_record_cannot_hold_is_written_to_the_cold_one(event: dict[str, object]) -> None:
    before = step(click("d1", at="10:00:00", user="ann")).states
    before["d1"].cold_changed = False
    assert step(event, states=before).states["d1"].cold_changed


def test_encoding_leaves_the_state_as_it_is() -> None:
    state, untouched = busy_device(), busy_device()
    encode_hot(state)
    encode_cold(state)
    assert state == untouched


def test_a_hot_record_with_ids_as_devices_have_them_is_small() -> None:
    device_id, event_id = "0b9f3c1e-6a55-4f0e-9d5b-2f6c1a7e8d90", "5d1c7a0e-1111-4a2b-8c3d-123456789abc"
    (state,) = step(click(device_id, id=event_id, user="user-1234567")).states.values()
    assert len(encode_hot(state)) <= 212


# --- the layout: who reads it may be another release ---


def test_the_records_of_schema_two_never_change() -> None:
    """A change of these bytes is a new SCHEMA_VERSION: stores and changelogs outlive the release."""
    state = new_device()
    state.close_at_ms, state.expire_at_ms = 258, 772
    assert SCHEMA_VERSION == 2
    assert encode_hot(state).hex() == (
        "020000000000000102000000000000030497cf0000019cadfd89000101dc0012d92430313963616466642d"
        "383930302d383030392d623532332d36656634386466313566643001cf0000019cadfd8900cf0000019cad"
        "fd8900c2a56669727374c2c2c001010001c400c00093cf0000019cadfd8900a26531a9706167655f766965"
        "77c000c0c0"
    )
    assert encode_cold(state).hex() == (
        "0295cf0000019cadfd890093cf0000019cadfd8900a26531a9706167655f76696577909000"
    )


def test_the_words_of_schema_two_never_change() -> None:
    """A device's session has them in its record, and a release that does not know one cannot read it."""
    assert SCHEMA_VERSION == 2
    assert get_args(SessionCause) == (
        *("first", "client", "event_type", "user_changed"),
        *("max_duration", "late", "gap"),
    )
    assert get_args(CloseReason) == ("inactivity", "end_event", "superseded", "max_duration")


def test_the_times_of_the_timers_stand_in_front_where_they_are_read_without_decoding() -> None:
    state = new_device()
    state.close_at_ms, state.expire_at_ms = ms("10:35:00"), ms("47:00:00")
    prefix = encode_hot(state)[:17]
    assert [int.from_bytes(prefix[1:9], "big"), int.from_bytes(prefix[9:], "big")] == [
        ms("10:35:00"),
        ms("47:00:00"),
    ]
    assert times_of(prefix) == (ms("10:35:00"), ms("47:00:00"))


def test_a_hot_record_of_another_schema_sets_no_timers() -> None:
    """A restore reads it before it reads the meta record that makes it refuse."""
    hot = encode_hot(new_device())
    for other in (b"\x01" + hot[1:], b"\x01", hot[:16], b""):
        assert times_of(other) == (0, 0)


def test_keys_separate_hot_from_cold_and_both_from_the_partitions_own() -> None:
    assert hot_key("gerät") == b"h" + "gerät".encode()
    assert cold_key("gerät") == b"c" + "gerät".encode()
    assert device_of_hot_key(hot_key("gerät")) == "gerät".encode()
    assert device_of_hot_key(cold_key("h")) is None
    assert device_of_hot_key(META_KEY) is None
    assert META_KEY not in {hot_key(""), cold_key("")}


@pytest.mark.parametrize("version", [0, 1, 255])
def test_a_record_of_another_schema_is_refused_with_both_versions_named(version: int) -> None:
    hot, cold = encode_hot(new_device()), encode_cold(new_device())
    for records in ((bytes([version]) + hot[1:], cold), (hot, bytes([version]) + cold[1:])):
        with pytest.raises(ValueError, match=f"{version:02x}.*expected 2"):
            decode_state(*records)


def test_a_record_that_is_cut_off_or_damaged_is_refused() -> None:
    hot, cold = encode_hot(busy_device()), encode_cold(busy_device())
    for length in range(len(hot)):
        with pytest.raises(ValueError):
            decode_state(hot[:length], cold)
    for length in range(len(cold)):
        with pytest.raises(ValueError):
            decode_state(hot, cold[:length])


# --- what is read: as it is written, in any width ---

HOT_PREFIX = b"\x02" + bytes(16)
ONE_EVENT = [7, "e1", "page_view"]
SESSION = ["s", 1, 7, 7, False, "gap", False, False, None, 0, 1, 0, 1, b"", None, 0, ONE_EVENT, None]
HOT = [7, 1, 1, SESSION, 1, [7, "ann"], None]
COLD = [7, ONE_EVENT, [[*SESSION[:-1], ONE_EVENT]], [], 0]


def read(hot: list[Any] | bytes = HOT, cold: list[Any] | bytes = COLD) -> DeviceState:
    """The device of two records, each given as what its array holds, or as the bytes of that."""
    parts = [part if isinstance(part, bytes) else msgpack.encode(part) for part in (hot, cold)]
    return decode_state(HOT_PREFIX + parts[0], b"\x02" + parts[1])


def with_value(values: list[Any], place: Sequence[int], value: object) -> list[Any]:
    """The same nested arrays with another value at a place."""
    first, *rest = place
    inner = with_value(values[first], rest, value) if rest else value
    return [*values[:first], inner, *values[first + 1 :]]


NUMBERS = (
    [(place,) for place in (0, 1, 2)] + [(3, place) for place in (1, 2, 3, 9, 10, 11, 12, 15)] + [(5, 0)]
)
"""The places in ``HOT`` of numbers, one for each that a record may hold of them."""


@pytest.mark.parametrize("place", NUMBERS)
@pytest.mark.parametrize(("number", "is_read"), [(0, True), (2**53 - 1, True), (2**53, False), (-1, False)])
def test_numbers_are_from_0_to_2_to_the_53_less_1(place: Sequence[int], number: int, is_read: bool) -> None:
    hot = with_value(HOT, place, number)
    if is_read:
        read(hot)
    else:
        with pytest.raises(ValueError):
            read(hot)


@pytest.mark.parametrize("written", ["07", "cc07", "cd0007", "ce00000007", "cf0000000000000007"])
@pytest.mark.parametrize("signed", [False, True])
def test_a_number_may_be_written_in_any_width(written: str, signed: bool) -> None:
    if signed and len(written) > 2:  # d0 to d3 are cc to cf with a sign
        written = f"d{'cdef'.index(written[1])}{written[2:]}"
    hot = b"\x97" + bytes.fromhex(written) + msgpack.encode(HOT)[2:]
    assert read(hot) == read()


@pytest.mark.parametrize(
    "written", ["ca40e00000", "cb401c000000000000", "c0", "c3", "a137", "9107", "d40007"]
)
def test_a_number_is_no_float_word_text_array_or_extension(written: str) -> None:
    with pytest.raises(ValueError):
        read(b"\x97" + bytes.fromhex(written) + msgpack.encode(HOT)[2:])


@pytest.mark.parametrize("head", ["d903", "da0003", "db00000003"])
def test_a_text_may_be_written_in_any_width_but_not_as_bytes(head: str) -> None:
    hot = msgpack.encode(HOT).replace(b"\xa3ann", bytes.fromhex(head) + b"ann")
    assert read(hot) == read()
    with pytest.raises(ValueError):
        read(msgpack.encode(HOT).replace(b"\xa3ann", b"\xc4\x03ann"))


@pytest.mark.parametrize("text", [b"\xff\xff\xff", b"\xed\xa0\x80", b"\xe2\x82\x00", b"\xc0\x80a"])
def test_a_text_that_is_not_utf8_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        read(msgpack.encode(HOT).replace(b"ann", text))


@pytest.mark.parametrize("head", ["c404", "c50004", "c600000004"])
def test_bytes_may_be_written_in_any_width_but_not_as_a_text(head: str) -> None:
    hot = with_value(HOT, (3, 13), b"\0\0\0\1")
    written = msgpack.encode(hot)
    assert read(written.replace(b"\xc4\x04\0\0\0\1", bytes.fromhex(head) + b"\0\0\0\1")) == read(hot)
    with pytest.raises(ValueError):
        read(with_value(HOT, (3, 13), "\0\0\0\1"))


@pytest.mark.parametrize("head", ["dc0007", "dd00000007"])
def test_the_length_of_an_array_may_be_written_in_any_width(head: str) -> None:
    assert read(bytes.fromhex(head) + msgpack.encode(HOT)[1:]) == read()


@pytest.mark.parametrize("place", [(), (3,), (3, 16), (5,)])
def test_an_array_has_exactly_as_many_values_as_this_schema_writes(place: Sequence[int]) -> None:
    values: list[Any] = HOT
    for index in place:
        values = values[index]
    for other in (values[:-1], [*values, None], []):
        hot = with_value(HOT, place, other) if place else other
        with pytest.raises(ValueError):
            read(hot)


@pytest.mark.parametrize("cold", [COLD[:-1], [*COLD, 0], with_value(COLD, (2, 0), SESSION[:-1]), {}])
def test_so_have_the_arrays_of_a_cold_record(cold: list[Any]) -> None:
    with pytest.raises(ValueError):
        read(cold=cold)


def test_bytes_behind_a_record_are_refused() -> None:
    with pytest.raises(ValueError):
        read(msgpack.encode(HOT) + b"\xc0")
    with pytest.raises(ValueError):
        read(cold=msgpack.encode(COLD) + b"\xc0")


@pytest.mark.parametrize(("place", "word"), [((3, 5), "new_cause"), ((3, 5), "Gap"), ((3, 8), "new_reason")])
def test_a_word_that_this_schema_does_not_have_is_refused(place: Sequence[int], word: str) -> None:
    with pytest.raises(ValueError):
        read(with_value(HOT, place, word))


@pytest.mark.parametrize(
    ("hot", "cold"),
    [
        pytest.param(with_value(HOT, (4,), 0), COLD, id="a link where none is counted"),
        pytest.param(with_value(HOT, (5,), None), COLD, id="no link where one is counted"),
        pytest.param(with_value(HOT, (4,), 2), COLD, id="fewer links than are counted"),
        pytest.param(with_value(HOT, (3,), None), COLD, id="a first event and no current session"),
        pytest.param(HOT, with_value(COLD, (1,), None), id="a current session and no first event"),
        pytest.param(with_value(HOT, (3, 17), ONE_EVENT), COLD, id="a first event in the hot record"),
        pytest.param(HOT, with_value(COLD, (2,), [SESSION]), id="an older session without a first event"),
        pytest.param(with_value(HOT, (3, 16), None), COLD, id="a session without a last event"),
        pytest.param(with_value(HOT, (3, 13), bytes(3)), COLD, id="part of a view"),
        pytest.param(with_value(HOT, (3, 13), bytes(516)), COLD, id="129 views"),
        pytest.param(with_value(HOT, (6,), bytes(13)), COLD, id="part of a recent id"),
    ],
)
def test_records_that_hold_what_no_device_has_are_refused(hot: list[Any], cold: list[Any]) -> None:
    read()
    with pytest.raises(ValueError):
        read(hot, cold)


@pytest.mark.parametrize("place", [1, 9])
def test_a_timers_time_is_refused_from_2_to_the_53_on(place: int) -> None:
    hot = HOT_PREFIX + msgpack.encode(HOT)
    for time, is_read in ((2**53 - 1, True), (2**53, False), (2**64 - 1, False)):
        written = hot[:place] + time.to_bytes(8, "big") + hot[place + 8 :]
        if is_read:
            decode_state(written, b"\x02" + msgpack.encode(COLD))
        else:
            with pytest.raises(ValueError):
                decode_state(written, b"\x02" + msgpack.encode(COLD))


# --- the partition's meta record ---


def test_the_meta_record_is_json_that_people_can_read() -> None:
    assert encode_meta(META) == (
        b'{"schema":1,"incarnation":"b2f1","raw_topic":"events.raw","next_offsets":{"events.raw":42},'
        b'"watermark_ms":1772445600000,"expiry":{"at_ms":1772440000000,"records":2000},"partitions":6,"partitioner":"murmur2"}'
    )
    assert decode_meta(encode_meta(META)) == META


def test_what_is_no_meta_record_is_refused() -> None:
    for value in (b"", b"{", b"[]", b"{}", encode_hot(new_device())):
        with pytest.raises(ValueError):
            decode_meta(value)


@pytest.mark.parametrize("watermark_ms", [-1, 2**53, 1.5, "7", None])
def test_a_watermark_is_a_number_within_the_bounds_of_stored_ones(watermark_ms: object) -> None:
    value = json.encode({**json.decode(encode_meta(META)), "watermark_ms": watermark_ms})
    with pytest.raises(ValueError):
        decode_meta(value)


def new_device() -> DeviceState:
    """After one event."""
    return step(click("d1", at="10:00:00", id="e1")).states["d1"]


def busy_device() -> DeviceState:
    """Several sessions and users, a view, a named session."""
    return step(
        click("d1", at="10:00:00", user="ann", view="v1"),
        click("d1", at="11:00:00", user="bob"),
        click("d1", at="09:00:00", session="s1"),
        click("d1", at="12:00:00", user="ann"),
        click("d1", at="13:00:00", session="gerät"),
    ).states["d1"]


def clean(state: DeviceState) -> DeviceState:
    """The state as it is once everything of it has been written."""
    state.cold_changed = False
    state.armed = (state.close_at_ms, state.expire_at_ms)
    return state
