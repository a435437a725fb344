"""Reads of the store what an engine does not remember of devices.

Knows keys; the bytes are the engine's matter. Invariant: of a device there are both records, or none.
"""

from collections.abc import Sequence

from worker.core.state_codec import cold_key, hot_key
from worker.engine.protocol import StoredDevice
from worker.errors import StateCorrupted
from worker.ports import StateStore


def stored_devices(store: StateStore, device_ids: Sequence[str]) -> list[StoredDevice | None]:
    """What the store has of each device, in their order; None for a device that it does not know.

    Raises StateCorrupted where only one of its two records is there.
    """
    found: list[StoredDevice | None] = []
    for device_id in device_ids:
        hot = store.get(hot_key(device_id))
        if hot is None:
            found.append(None)
            continue
        cold = store.get(cold_key(device_id))
        if cold is None:
            raise StateCorrupted("a device's cold record is missing")
        found.append((hot, cold))
    return found
