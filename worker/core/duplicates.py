"""Which events repeat one that their device remembers, and what it remembers after them.

Knows the recent ids of devices, with their times, and the rules; nothing of sessions, users and outputs. It
must not know what is done with a duplicate. Invariants: what is found is a function of the device's events in
their order of arrival; an event is remembered unless it is a duplicate, so ``flag`` marks the events that
``drop`` leaves out; a memory has at most ``duplicates_remembered`` entries.

A memory is packed, because it is written with each change of its device: entries of 14 bytes in order of
arrival, each a hash of the id (8 bytes) and the held time (ms, 6 bytes). With 500 entries an event of another
id is taken for one of them once in 10^16 events.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct

from worker.core.expiry import alive_until_ms, is_expired
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
    """What one device remembers, while the events of a record are looked at.

    ``newest_ms``: of its events so far. ``alive_until_ms``: it does not expire at an event up to this time.
    ``oldest_ms`` is that of the first entry, 0 where it was not read yet.
    """

    __slots__ = ("alive_until_ms", "changed", "entries", "newest_ms", "oldest_ms")

    def __init__(self, newest_ms: int, recent_ids: bytes) -> None:
        self.newest_ms = newest_ms
        self.alive_until_ms = 0
        self.entries = bytearray(recent_ids)
        self.oldest_ms = 0
        self.changed = False

    def has(self, hashed: bytes, t_ms: int, window_ms: int) -> bool:
        """Whether there is an entry of that id, at most the window away."""
        at = self.entries.find(hashed)
        while at >= 0:
            if at % ENTRY_BYTES == 0 and abs(t_ms - self._time_at(at)) <= window_ms:
                return True
            at = self.entries.find(hashed, at + 1)
        return False

    def add(self, hashed: bytes, t_ms: int, window_ms: int, most_bytes: int) -> None:
        """Add an entry, and drop the oldest arrivals: those beyond the number, and those over the window."""
        entries = self.entries
        entries += hashed + t_ms.to_bytes(_TIME_BYTES, "big")
        self.changed = True
        if self.oldest_ms < t_ms - window_ms or len(entries) > most_bytes:
            start = max(0, len(entries) - most_bytes)
            while (oldest_ms := self._time_at(start)) < t_ms - window_ms:
                start += ENTRY_BYTES
            del entries[:start]
            self.oldest_ms = oldest_ms

    def _time_at(self, start: int) -> int:
        return int.from_bytes(self.entries[start + _HASH_BYTES : start + ENTRY_BYTES], "big")


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
        rules, window_ms, most_bytes = self._rules, self._window_ms, self._most_bytes
        memories: dict[str, _Memory] = {}
        remaining: list[Event] = []
        repeated: list[int] = []
        for event in events:
            device_id = event.device_id
            memory = memories.get(device_id)
            if memory is None:
                state = forks.get(device_id) or states.get(device_id)
                memory = _Memory(0, b"") if state is None else _Memory(state.newest_ms, state.recent_ids)
                memories[device_id] = memory
            t_ms = event.timestamp if event.timestamp <= limit_ms else limit_ms
            if t_ms > memory.alive_until_ms:
                if is_expired(memory.newest_ms, t_ms, expiry_ms, rules):
                    memory = memories[device_id] = _Memory(t_ms, b"")
                memory.alive_until_ms = alive_until_ms(memory.newest_ms, expiry_ms, rules)
            hashed = blake2b(event.id.encode(), digest_size=_HASH_BYTES).digest()
            if not memory.has(hashed, t_ms, window_ms):
                memory.add(hashed, t_ms, window_ms, most_bytes)
            elif self._drops:
                continue
            else:
                repeated.append(len(remaining))
            if t_ms > memory.newest_ms:
                memory.newest_ms = t_ms
            remaining.append(event)
        recent_ids = {
            device_id: bytes(memory.entries) for device_id, memory in memories.items() if memory.changed
        }
        return Sorted(remaining, repeated, len(events) - len(remaining), recent_ids)
