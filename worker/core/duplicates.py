"""Which events repeat one that their device remembers, and what it remembers after them.

Knows the recent ids of devices, with their times, and the rules; nothing of sessions, users and outputs. It
must not know what is done with a duplicate. Invariants: what is found is a function of the device's events in
their order of arrival; an event is remembered unless it is a duplicate, so ``flag`` marks the events that
``drop`` leaves out; a memory has at most ``duplicates_remembered`` entries.

A memory is packed, because it is written with each change of its device: entries of 14 bytes in order of
arrival, each a hash of the id (8 bytes) and the held time (ms, 6 bytes). Another id has the same hash once in
10^16 events. ``bytes.find`` looks through 500 entries in the time that a dict of them takes to be decoded ten
times less.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct

from worker.core.expiry import is_expired
from worker.model.events import Event
from worker.model.rules import Rules
from worker.model.state import DeviceState

_HASH_BYTES = 8
_TIME_BYTES = 6  # held times are below 1e14 ms
ENTRY_BYTES = _HASH_BYTES + _TIME_BYTES


class Sorted(Struct, gc=False):
    """The events of a record without the duplicates among them, or all of them where those are flagged.

    ``repeated`` has the places in ``events`` of the duplicates, ``dropped`` how many were left out.
    ``recent_ids`` is what devices remember afterwards, where that has changed.
    """

    events: Sequence[Event]
    repeated: list[int]
    dropped: int
    recent_ids: dict[str, bytes]


class _Memory:
    """What one device remembers while the events of a record are looked at. ``newest_ms``: see its state."""

    def __init__(self, state: DeviceState | None) -> None:
        self.newest_ms = None if state is None else state.newest_ms
        self.entries = bytearray() if state is None else bytearray(state.recent_ids)
        self.changed = False


class Duplicates:
    """Finds duplicates by the given rules, which ask for it (``duplicates`` is not ``keep``)."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._drops = rules.input.duplicates == "drop"
        self._window_ms = rules.input.duplicates_ms
        self._most_bytes = rules.input.duplicates_remembered * ENTRY_BYTES

    def sort_out(
        self,
        events: Sequence[Event],
        limit_ms: int,
        expiry_ms: int,
        forks: Mapping[str, DeviceState],
        states: Mapping[str, DeviceState],
    ) -> Sorted:
        """Look at the events of one record, in order. No state is changed.

        ``limit_ms`` is the latest time that is believed, ``expiry_ms`` the time of the expiry clock. The
        state of a device is in ``forks``, else in ``states``, else it is new. A device that expires at one of
        the events remembers nothing from before it, so that event is no duplicate.
        """
        memories: dict[str, _Memory] = {}
        remaining: list[Event] = []
        repeated: list[int] = []
        for event in events:
            device_id = event.device_id
            memory = memories.get(device_id)
            if memory is None:
                memory = memories[device_id] = _Memory(forks.get(device_id) or states.get(device_id))
            t_ms = min(event.timestamp, limit_ms)
            if memory.newest_ms is None or is_expired(memory.newest_ms, t_ms, expiry_ms, self._rules):
                memory = memories[device_id] = _Memory(None)
                memory.newest_ms = t_ms
            hashed = blake2b(event.id.encode(), digest_size=_HASH_BYTES).digest()
            if not self._is_remembered(memory.entries, hashed, t_ms):
                self._remember(memory.entries, hashed, t_ms)
                memory.changed = True
            elif self._drops:
                continue
            else:
                repeated.append(len(remaining))
            memory.newest_ms = max(memory.newest_ms, t_ms)
            remaining.append(event)
        recent_ids = {
            device_id: bytes(memory.entries) for device_id, memory in memories.items() if memory.changed
        }
        return Sorted(remaining, repeated, len(events) - len(remaining), recent_ids)

    def _is_remembered(self, entries: bytearray, hashed: bytes, t_ms: int) -> bool:
        """Whether there is an entry of that id, at most the window away."""
        at = entries.find(hashed)
        while at >= 0:
            if at % ENTRY_BYTES == 0:
                time_bytes = entries[at + _HASH_BYTES : at + ENTRY_BYTES]
                if abs(t_ms - int.from_bytes(time_bytes, "big")) <= self._window_ms:
                    return True
            at = entries.find(hashed, at + 1)
        return False

    def _remember(self, entries: bytearray, hashed: bytes, t_ms: int) -> None:
        """Add an entry, and drop the oldest arrivals: those beyond the number, and those over the window."""
        entries += hashed
        entries += t_ms.to_bytes(_TIME_BYTES, "big")
        start = max(0, len(entries) - self._most_bytes)
        oldest_ms = t_ms - self._window_ms
        while int.from_bytes(entries[start + _HASH_BYTES : start + ENTRY_BYTES], "big") < oldest_ms:
            start += ENTRY_BYTES
        del entries[:start]
