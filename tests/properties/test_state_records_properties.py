"""Every device comes back from its records as it went in, and no bytes do worse than be refused."""

import contextlib
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from worker.core.state_codec import decode_meta, decode_state, encode_cold, encode_hot, encode_meta
from worker.model.outputs import CloseReason, SessionCause
from worker.model.state import (
    GREATEST_STORED,
    DeviceState,
    EventRef,
    ExpiryClock,
    Link,
    Meta,
    Session,
    Timeline,
)

times = st.integers(0, 10**14) | st.integers(0, GREATEST_STORED)
counts = st.integers(0, GREATEST_STORED)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)  # no lone surrogates: it is UTF-8
event_refs = st.builds(EventRef, at_ms=times, id=texts, type=texts)
sessions = st.builds(
    Session,
    id=texts,
    number=counts,
    start_ms=times,
    end_ms=times,
    client=st.booleans(),
    cause=st.sampled_from(get_args(SessionCause)),
    fixed_start=st.booleans(),
    ended=st.booleans(),
    closed=st.none() | st.sampled_from(get_args(CloseReason)),
    revision=counts,
    event_count=counts,
    passive_count=counts,
    touched=counts,
    views=st.integers(0, 128).flatmap(lambda views: st.binary(min_size=4 * views, max_size=4 * views)),
    user_id=st.none() | texts,
    user_at_ms=times,
    last=event_refs,
    first=event_refs,
)
states = st.builds(
    DeviceState,
    newest_ms=times,
    opened=counts,
    event_count=counts,
    current=st.none() | sessions,
    close_at_ms=times,
    expire_at_ms=times,
    older=st.lists(sessions, max_size=3).map(tuple),
    timeline=st.builds(
        Timeline,
        links=st.lists(st.builds(Link, since_ms=times, user_id=st.none() | texts), max_size=8).map(tuple),
        since_ms=times,
    ),
    first_seen_ms=times,
    cold_changed=st.just(False),
    recent_ids=st.integers(0, 3).flatmap(lambda ids: st.binary(min_size=14 * ids, max_size=14 * ids)),
)


@given(states)
def test_a_device_comes_back_as_it_was_written(state: DeviceState) -> None:
    state.armed = (state.close_at_ms, state.expire_at_ms)
    assert decode_state(encode_hot(state), encode_cold(state)) == state


@given(states, st.data())
def test_damaged_records_raise_nothing_but_a_value_error(state: DeviceState, data: st.DataObject) -> None:
    records = []
    for sound in (encode_hot(state), encode_cold(state)):
        damaged = bytearray(sound)
        for place in data.draw(st.lists(st.integers(0, len(sound) - 1), max_size=3)):
            damaged[place] = data.draw(st.integers(0, 255))
        records.append(bytes(damaged))
    with contextlib.suppress(ValueError):
        assert_is_written_again(*records)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_arbitrary_bytes_raise_nothing_but_a_value_error(hot: bytes, cold: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert_is_written_again(b"\x02" + hot, b"\x02" + cold)
    with contextlib.suppress(ValueError):
        decode_meta(hot)


@given(
    st.builds(
        Meta,
        schema=st.integers(0, 2**40),
        incarnation=texts,
        raw_topic=texts,
        next_offsets=st.dictionaries(texts, st.integers(0, 2**63 - 1), max_size=2),
        watermark_ms=times,
        expiry=st.builds(ExpiryClock, at_ms=times, records=counts),
    )
)
def test_the_meta_record_comes_back_as_it_was_written(meta: Meta) -> None:
    assert decode_meta(encode_meta(meta)) == meta


def assert_is_written_again(hot: bytes, cold: bytes) -> None:
    """What is read can be written, and is the same then. Raises ValueError where the records are not read."""
    state = decode_state(hot, cold)
    try:
        again = decode_state(encode_hot(state), encode_cold(state))
    except ValueError as error:
        raise AssertionError("what was read is not read again") from error
    assert again == state
