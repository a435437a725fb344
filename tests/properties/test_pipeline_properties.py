"""How records are cut into calls, and where states are kept between them, changes nothing."""

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from tests.properties.streams import Stream, any_streams, in_one_call, pieces
from worker.core.encode import encode_step
from worker.core.state_codec import cold_key, decode_state, encode_cold, encode_hot, hot_key
from worker.model.outputs import OutputRecord
from worker.model.state import DeviceState

cuts = st.sets(st.integers(1, 7))


@given(any_streams(), cuts)
def test_any_cut_into_calls_gives_the_same_bytes(stream: Stream, cuts: set[int]) -> None:
    states: dict[str, DeviceState] = {}
    enriched: list[OutputRecord] = []
    watermark_ms = 0
    for piece in pieces(stream.records, cuts):
        result = stream.step(piece, states, watermark_ms)
        states |= result.states
        enriched += encode_step(result)["enriched"]
        watermark_ms = result.watermark_ms
    whole = in_one_call(stream)
    assert enriched == encode_step(whole)["enriched"]
    assert watermark_ms == whole.watermark_ms
    assert states == whole.states


@given(any_streams())
def test_any_cut_of_batches_into_records_gives_the_same_bytes(stream: Stream) -> None:
    whole, cut = in_one_call(stream), stream.step(stream.single_records)
    assert encode_step(cut)["enriched"] == encode_step(whole)["enriched"]
    assert cut.states == whole.states
    assert cut.watermark_ms == whole.watermark_ms


@given(any_streams())
def test_a_replay_gives_the_same_bytes(stream: Stream) -> None:
    assert encode_step(in_one_call(stream)) == encode_step(in_one_call(stream))


@given(any_streams(), cuts)
def test_states_kept_as_records_between_the_calls_give_the_same_bytes(stream: Stream, cuts: set[int]) -> None:
    """The cold record is written only when the state says so: a change that it hides would be lost here."""
    store: dict[bytes, bytes] = {}
    enriched: list[OutputRecord] = []
    watermark_ms = 0
    for piece in pieces(stream.records, cuts):
        known = {device_id: stored_state(store, device_id) for device_id in stored_devices(store)}
        result = stream.step(piece, known, watermark_ms)
        watermark_ms = result.watermark_ms
        enriched += encode_step(result)["enriched"]
        for device_id, state in result.states.items():
            store[hot_key(device_id)] = encode_hot(state)
            if state.cold_changed:
                store[cold_key(device_id)] = encode_cold(state)
    whole = in_one_call(stream)
    assert enriched == encode_step(whole)["enriched"]
    for device_id, state in whole.states.items():
        state.cold_changed = False
        state.armed = (state.close_at_ms, state.expire_at_ms)
        assert stored_state(store, device_id) == state


@given(any_streams(), cuts)
def test_states_once_returned_are_never_changed_by_later_calls(stream: Stream, cuts: set[int]) -> None:
    """An aborted transaction must leave what was committed as it was."""
    states: dict[str, DeviceState] = {}
    history: list[tuple[dict[str, DeviceState], dict[str, DeviceState]]] = []
    for piece in pieces(stream.records, cuts):
        states = states | stream.step(piece, states).states
        history.append((states, deepcopy(states)))
    for committed, copied in history:
        assert committed == copied


@given(any_streams(), cuts)
def test_a_step_that_was_thrown_away_leaves_no_trace(stream: Stream, cuts: set[int]) -> None:
    """As after a lost transaction: the same records again, on the same states."""
    states: dict[str, DeviceState] = {}
    for piece in pieces(stream.records, cuts):
        lost = encode_step(stream.step(piece, states))
        again = stream.step(piece, states)
        assert encode_step(again) == lost
        states |= again.states


def stored_devices(store: dict[bytes, bytes]) -> list[str]:
    """Devices with a hot record."""
    return [key[1:].decode() for key in store if key == hot_key(key[1:].decode())]


def stored_state(store: dict[bytes, bytes], device_id: str) -> DeviceState:
    """A device as read back from its two records."""
    return decode_state(store[hot_key(device_id)], store[cold_key(device_id)])
