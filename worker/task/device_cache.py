"""Finds the device states that a step needs: in the draft, else in memory, else in the store.

Knows nothing of records and transactions. Invariants: the newest state wins; a device that is found nowhere
is new; memory holds committed states only, and none is changed in place; it holds about as many devices as
the task's share of the memory budget allows, fewer where they remember many ids of events.

Memory is two generations instead of a strict least-recently-used order: when the young one is full it becomes
the old one, and the former old one is evicted. A look-up costs one or two dict accesses and no re-ordering.
"""

from collections.abc import Iterable, Mapping

from worker.core.state_codec import cold_key, decode_state, hot_key
from worker.errors import StateCorrupted
from worker.model.state import DeviceState
from worker.ports import StateStore
from worker.task.commit_policy import BYTES_A_DEVICE, MemoryBudget


class DeviceCache:
    """The devices of one task's store, the recently seen ones in memory."""

    def __init__(self, store: StateStore, budget: MemoryBudget) -> None:
        self._store = store
        self._budget = budget
        self._young: dict[str, DeviceState] = {}
        self._old: dict[str, DeviceState] = {}
        self._recent_ids_bytes = 0  # of the young ones

    def states_of(
        self, device_ids: Iterable[str], drafted: Mapping[str, DeviceState | None]
    ) -> dict[str, DeviceState]:
        """The states of the known devices among ``device_ids``; those in ``drafted`` are newer.

        Raises StateCorrupted for a stored record that does not decode.
        """
        states: dict[str, DeviceState] = {}
        for device_id in device_ids:
            if device_id in drafted:
                state = drafted[device_id]
            else:
                state = self._in_memory(device_id) or self._stored(device_id)
            if state is not None:
                states[device_id] = state
        return states

    def keep(self, states: Mapping[str, DeviceState | None]) -> None:
        """Keep these states in memory, which are committed now; None for a device that expired."""
        for device_id, state in states.items():
            if state is not None:
                self._add(device_id, state)
            else:
                self._recent_ids_bytes -= self._young_ids_bytes(device_id)
                self._young.pop(device_id, None)
                self._old.pop(device_id, None)
        if (len(self._young) + self._recent_ids_bytes // BYTES_A_DEVICE) * 2 > self._budget.devices_per_task:
            self._old = self._young
            self._young = {}
            self._recent_ids_bytes = 0

    def clear(self) -> None:
        """Evict everything from memory: only the store is certain."""
        self._young = {}
        self._old = {}
        self._recent_ids_bytes = 0

    def __len__(self) -> int:
        """How many states memory holds; a device in both generations counts twice."""
        return len(self._young) + len(self._old)

    def _in_memory(self, device_id: str) -> DeviceState | None:
        state = self._young.get(device_id)
        if state is None:
            state = self._old.get(device_id)
            if state is not None:
                self._add(device_id, state)
        return state

    def _add(self, device_id: str, state: DeviceState) -> None:
        if state.recent_ids:
            self._recent_ids_bytes += len(state.recent_ids) - self._young_ids_bytes(device_id)
        self._young[device_id] = state

    def _young_ids_bytes(self, device_id: str) -> int:
        state = self._young.get(device_id)
        return 0 if state is None else len(state.recent_ids)

    def _stored(self, device_id: str) -> DeviceState | None:
        hot = self._store.get(hot_key(device_id))
        if hot is None:
            return None
        cold = self._store.get(cold_key(device_id))
        if cold is None:
            raise StateCorrupted("a device's cold record is missing")
        try:
            return decode_state(hot, cold)
        except ValueError as error:
            raise StateCorrupted(f"a device's record does not decode: {error}") from error
