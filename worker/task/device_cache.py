"""Finds the states that a step needs: in the draft, else in memory as last committed, else in the store.

Invariant: what is newer wins; a device that is nowhere is new.
"""

from collections.abc import Iterable, Mapping

from worker.core.state_codec import cold_key, decode_state, hot_key
from worker.errors import StateCorrupted
from worker.model.state import DeviceState
from worker.ports import StateStore
from worker.task.live_states import LiveStates


def states_of(
    device_ids: Iterable[str],
    drafted: Mapping[str, DeviceState | None],
    live: LiveStates,
    store: StateStore,
) -> dict[str, DeviceState]:
    """The known states among ``device_ids``. Raises StateCorrupted for a record that does not decode."""
    states: dict[str, DeviceState] = {}
    for device_id in device_ids:
        if device_id in drafted:
            state = drafted[device_id]
        else:
            state = live.get(device_id) or _stored(device_id, store)
        if state is not None:
            states[device_id] = state
    return states


def _stored(device_id: str, store: StateStore) -> DeviceState | None:
    hot = store.get(hot_key(device_id))
    if hot is None:
        return None
    cold = store.get(cold_key(device_id))
    if cold is None:
        raise StateCorrupted("a device's cold record is missing")
    try:
        return decode_state(hot, cold)
    except ValueError as error:
        raise StateCorrupted(f"a device's record does not decode: {error}") from error
