"""The door: what one step of one partition is given, and what comes of it.

Decides what passes between an engine and its caller, who does all input and output between two calls. Must
not know how an engine keeps states, nor how records travel. Invariants: states enter as the bytes of their
store records and leave as such; what an engine remembers from one draft to the next is a copy of committed
states, which may be dropped at any time without effect; after any exception it is dropped whole.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from worker.core.partitioner import Partitioning
from worker.model.output_records import Outgoing
from worker.model.records import Records
from worker.model.repartition import RepartitionedRecord
from worker.model.rules import Rules
from worker.model.state import Meta, StateRecord
from worker.model.topics import Role

StoredDevice = tuple[bytes, bytes]
"""The values of a device's two store records, hot and cold (``core.state_codec``)."""


class EngineOptions(Struct, frozen=True, kw_only=True):
    """What an engine is made for.

    ``output_partitions`` has the outputs that are published, in the order in which they are sent, and how
    many partitions each has. Records of ``repartition_topic`` were sent here by other partitions; empty where
    there is none.
    """

    partition: int
    rules: Rules
    partitioning: Partitioning
    output_partitions: Mapping[Role, int]
    repartition_topic: str = ""


class Reading(Struct, frozen=True):
    """How far records were read, and what is missing to process them.

    ``unknown``: the devices whose states the engine does not remember. ``end``: the place after the last
    record that was read; ``next_offset``: the offset after it.
    """

    unknown: Sequence[str]
    end: int
    next_offset: int


class Counters(Struct, kw_only=True):
    """What a draft holds, in numbers.

    ``events`` are those that were enriched, refused, dropped or sent to other partitions
    (``events_repartitioned``). ``output_bytes``: of outputs that are no upserts, of what is sent to other
    partitions, and of devices' recent ids. ``timers`` have fired. ``without_session``: enriched events in no
    session, by type. ``devices_identified``: devices that had no user before. ``received_ms``: when the
    earliest of its records was received. ``misplaced_keys``: records whose key is a device of another
    partition, at most ``ENOUGH_KEYS``; ``explained_keys`` of them lie where the other partitioner puts them.
    """

    records: int = 0
    events: int = 0
    events_repartitioned: int = 0
    output_bytes: int = 0
    timers: int = 0
    enriched: int = 0
    sessions_opened: int = 0
    sessions_closed: int = 0
    devices_added: int = 0
    devices_linked: int = 0
    devices_identified: int = 0
    without_session: Counter[str] = field(default_factory=Counter)
    duplicates_flagged: int = 0
    duplicates_dropped: int = 0
    dead_letters_by_reason: Counter[str] = field(default_factory=Counter)
    last_dead_letter: str | None = None  # topic/partition/offset
    received_ms: int | None = None
    misplaced_keys: int = 0
    explained_keys: int = 0

    def fullness(self, events: int, output_bytes: int, timers: int) -> float:
        """The largest share of these limits that the draft holds; from 1 on it is full."""
        return max(self.events / events, self.output_bytes / output_bytes, self.timers / timers)


ENOUGH_KEYS = 200
"""So many misplaced keys are enough to tell a wrong partitioner from producers that set no device key."""


class Drafted(Struct, frozen=True, kw_only=True):
    """All that one transaction changes.

    ``meta`` is the partition after it. ``outgoing`` are the outputs, ``leaving`` the records for other
    partitions, by partition. ``states`` go to changelog and store, the meta record as the last one;
    ``timers`` go to the store alone.
    """

    meta: Meta
    outgoing: Sequence[Outgoing]
    leaving: Mapping[int, Sequence[RepartitionedRecord]]
    states: Sequence[StateRecord]
    timers: Sequence[StateRecord]
    counters: Counters


class Engine(Protocol):
    """What records and timers change in one partition, draft by draft. No input or output, no clock.

    A draft is: ``begin``; timers, if any are due (``due``, ``run_timers``); steps (``read``, ``step``);
    ``draft``; then ``committed``, or ``abandon`` at any point. The result is the same however records are cut
    into steps. Every call may raise; whoever gets an exception calls this engine no more. Of StateCorrupted
    the task makes a new one; any other is a bug, which ends the process, with its type in ``worker.failed``.
    """

    def begin(self, base: Meta) -> None:
        """Begin a draft on top of what ``base`` says is committed; drop one that is open."""
        ...

    def due(self, fired: Sequence[bytes]) -> Sequence[str]:
        """Take the keys of timers that have fired; the devices of them whose states ``run_timers`` needs.

        Raises StateCorrupted for keys of no timer.
        """
        ...

    def run_timers(self, found: Sequence[StoredDevice | None], now_ms: int) -> None:
        """Close the sessions of these devices that are due at ``now_ms``, expire the devices that are due.

        ``found``: what the store has of each device that ``due`` named, in that order; None for nothing.
        Raises StateCorrupted for records that do not decode.
        """
        ...

    def read(self, records: Records, start: int, most_bytes: int) -> Reading:
        """Validate records from place ``start`` on, about ``most_bytes`` of value, at least one record.

        Never raises on input. ``most_bytes`` bounds how long a step takes.
        """
        ...

    def step(self, found: Sequence[StoredDevice | None]) -> None:
        """Process what was read last.

        ``found``: what the store has of each device that ``read`` named, in that order; None for nothing.
        Raises StateCorrupted for records that do not decode.
        """
        ...

    @property
    def counters(self) -> Counters:
        """What the open draft holds up to here; not to be changed, nor kept over the next call."""
        ...

    def draft(self, next_offsets: Mapping[str, int]) -> Drafted:
        """What the transaction writes; ``next_offsets`` of all inputs are part of its meta record."""
        ...

    def committed(self, capacity: int) -> None:
        """The draft was committed: remember its states, and of all states about ``capacity`` devices."""
        ...

    def abandon(self) -> None:
        """Drop the draft, and all that is remembered: what was committed last may be unknown."""
        ...
