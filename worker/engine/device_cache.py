"""Remembers the states of recently seen devices, so that the store is asked only for the others.

Knows nothing of records, stores and transactions. Invariants: the newest state wins, and the draft's are
newer than those remembered; only committed states are remembered, and none is changed in place; they are of
about as many devices as is allowed, fewer where those remember many ids of events.

Memory is two generations instead of a strict least-recently-used order: when the young one is full it becomes
the old one, and the former old one is evicted. A look-up costs one or two dict accesses and no re-ordering.
"""

from collections.abc import Iterable, Mapping, Sequence

from worker.core.state_codec import decode_state
from worker.engine.protocol import StoredDevice
from worker.errors import StateCorrupted
from worker.model.state import DeviceState

BYTES_A_DEVICE = 2_000
"""A state in memory with its dict entry: 1.1 KB with one session, 2.6 KB with four (measured 2026-11-24)."""


class DeviceCache:
    """The recently seen devices of one partition."""

    def __init__(self) -> None:
        self._young: dict[str, DeviceState] = {}
        self._old: dict[str, DeviceState] = {}
        self._recent_ids_bytes = 0  # of the young ones

    def known(
        self, device_ids: Iterable[str], drafted: Mapping[str, DeviceState | None]
    ) -> tuple[dict[str, DeviceState], list[str]]:
        """The states of these devices that are drafted or remembered, and the devices that are neither.

        A device that is drafted as None has expired, and is none of both.
        """
        states: dict[str, DeviceState] = {}
        unknown: list[str] = []
        for device_id in device_ids:
            if device_id in drafted:
                state = drafted[device_id]
                if state is None:
                    continue
            else:
                state = self._in_memory(device_id)
                if state is None:
                    unknown.append(device_id)
                    continue
            states[device_id] = state
        return states, unknown

    def keep(self, states: Mapping[str, DeviceState | None], capacity: int) -> None:
        """Remember these states, which are committed now; None for a device that expired.

        ``capacity``: of how many devices states are remembered together.
        """
        for device_id, state in states.items():
            if state is not None:
                self._add(device_id, state)
            else:
                self._recent_ids_bytes -= self._young_ids_bytes(device_id)
                self._young.pop(device_id, None)
                self._old.pop(device_id, None)
        if (len(self._young) + self._recent_ids_bytes // BYTES_A_DEVICE) * 2 > capacity:
            self._old = self._young
            self._young = {}
            self._recent_ids_bytes = 0

    def clear(self) -> None:
        """Drop everything: only the store is certain."""
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


def stored_states(device_ids: Sequence[str], found: Sequence[StoredDevice | None]) -> dict[str, DeviceState]:
    """The states of those devices of which the store has records.

    Raises StateCorrupted for records that do not decode.
    """
    states: dict[str, DeviceState] = {}
    for device_id, stored in zip(device_ids, found, strict=True):
        if stored is not None:
            try:
                states[device_id] = decode_state(*stored)
            except ValueError as error:
                raise StateCorrupted(f"a device's record does not decode: {error}") from error
    return states
