"""What a device's and a partition's records look like in store and changelog, and what is never misread."""

import pytest

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
