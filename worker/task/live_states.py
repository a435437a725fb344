"""Keeps the states of recently seen devices in memory, as they were last committed.

Knows nothing of stores and transactions. Invariants: holds committed states only, none is changed in place;
holds at most ``capacity`` devices, shared fairly by all tasks of the process.

Two generations instead of a strict least-recently-used order: when the young one is full it becomes the old
one and the old one goes. A look-up costs one or two dict accesses and no re-ordering.
"""

from collections.abc import Mapping

from worker.model.state import DeviceState
from worker.task.memory_budget import MemoryBudget


class LiveStates:
    """Committed states of one task's recently seen devices."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._young: dict[str, DeviceState] = {}
        self._old: dict[str, DeviceState] = {}

    def get(self, device_id: str) -> DeviceState | None:
        """The device's committed state, or None when it does not live here."""
        state = self._young.get(device_id)
        if state is None:
            state = self._old.get(device_id)
            if state is not None:
                self._young[device_id] = state
        return state

    def keep(self, states: Mapping[str, DeviceState | None]) -> None:
        """Remember these states, now committed; None for a device that was forgotten."""
        for device_id, state in states.items():
            if state is not None:
                self._young[device_id] = state
            else:
                self._young.pop(device_id, None)
                self._old.pop(device_id, None)
        if len(self._young) * 2 > self._budget.devices_per_task:
            self._old = self._young
            self._young = {}

    def clear(self) -> None:
        """Forget all: the store knows better."""
        self._young = {}
        self._old = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
