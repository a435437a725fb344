"""Engines that must be equal, and the twin that runs two of them in every call and compares what they say.

Decides what equal means: ordered records with all that is in them, records of states and timers, counters,
and how far records were read. Which devices an engine asks for is its own affair: each gets the states that
it asked for. Knows the protocol; of the readable engine only what a variant changes. Invariant: what a twin
returns is what both engines say, so whoever drives it need not know that there are two.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import structs

from tests.slow_path_decoder import SlowPathDecoder
from worker.core.decode import Decoder
from worker.engine.protocol import Counters, Drafted, Engine, EngineOptions, Reading, StoredDevice
from worker.engine.readable import ReadableEngine
from worker.model.records import Records
from worker.model.state import Meta

Said = TypeVar("Said")
MakeEngine = Callable[[EngineOptions], Engine]


class EnginesDifferError(AssertionError):
    """Two engines said different things in the same call."""


class Twin:
    """Implements ``Engine`` by two engines that must be equal. Anything that one raises, both must raise."""

    def __init__(self, first: Engine, second: Engine) -> None:
        self._engines = (first, second)
        self._asked: tuple[Sequence[str], Sequence[str]] = ((), ())  # by the last call that may ask

    def begin(self, base: Meta) -> None:
        """Begin a draft in both."""
        self._same("begin", lambda engine: engine.begin(base))

    def due(self, fired: Sequence[bytes]) -> Sequence[str]:
        """The devices that either of them misses."""
        return self._missing([engine.due(fired) for engine in self._engines])

    def run_timers(self, found: Sequence[StoredDevice | None], now_ms: int) -> None:
        """Run the timers in both, each with what it asked for."""
        self._give(found, "run_timers", lambda engine, own: engine.run_timers(own, now_ms))

    def read(self, records: Records, start: int, most_bytes: int) -> Reading:
        """Read in both, to the same end; the devices that either of them misses."""
        readings = [engine.read(records, start, most_bytes) for engine in self._engines]
        end, next_offset = _equal("read", *[(reading.end, reading.next_offset) for reading in readings])
        return Reading(self._missing([reading.unknown for reading in readings]), end, next_offset)

    def step(self, found: Sequence[StoredDevice | None]) -> None:
        """Process in both, each with what it asked for."""
        self._give(found, "step", lambda engine, own: engine.step(own))

    @property
    def counters(self) -> Counters:
        """What both have counted."""
        return self._same("counters", lambda engine: engine.counters)

    def draft(self, next_offsets: Mapping[str, int]) -> Drafted:
        """What both write."""
        drafts = [engine.draft(next_offsets) for engine in self._engines]
        _equal("draft", *[_content(drafted) for drafted in drafts])
        return drafts[0]

    def committed(self, capacity: int) -> None:
        """The draft was committed, in both."""
        self._same("committed", lambda engine: engine.committed(capacity))

    def abandon(self) -> None:
        """Drop the draft in both."""
        self._same("abandon", lambda engine: engine.abandon())

    def _missing(self, unknown: Sequence[Sequence[str]]) -> Sequence[str]:
        first, second = unknown
        self._asked = (first, second)
        return list(dict.fromkeys([*first, *second]))

    def _give(
        self,
        found: Sequence[StoredDevice | None],
        call: str,
        to: Callable[[Engine, Sequence[StoredDevice | None]], None],
    ) -> None:
        asked, self._asked = self._asked, ((), ())
        by_device = dict(zip(dict.fromkeys([*asked[0], *asked[1]]), found, strict=True))
        own = iter(asked)
        self._same(call, lambda engine: to(engine, [by_device[device_id] for device_id in next(own)]))

    def _same(self, call: str, do: Callable[[Engine], Said]) -> Said:
        """What both say, or the error that both raise."""
        said: list[Said] = []
        errors: list[Exception] = []
        for engine in self._engines:
            try:
                said.append(do(engine))
            except Exception as error:  # noqa: BLE001 - whatever one raises, the other must
                errors.append(error)
        if len(errors) == 1:
            raise EnginesDifferError(f"{call}: one engine raised {errors[0]!r}") from errors[0]
        if errors:
            _equal(call, *[type(error) for error in errors])
            raise errors[0]
        return _equal(call, *said)


def _content(drafted: Drafted) -> dict[str, Any]:
    """Everything in a draft, by name, as values that can be compared."""
    outgoing = [(part.role, part.partition, list(part)) for part in drafted.outgoing]
    leaving = {partition: list(records) for partition, records in drafted.leaving.items()}
    content = {name: getattr(drafted, name) for name in drafted.__struct_fields__}
    return content | {"outgoing": outgoing, "leaving": leaving}


def _equal(call: str, first: Said, second: Said) -> Said:
    """The one of two equal things."""
    if first != second:
        raise EnginesDifferError(f"{call}: {_difference(first, second)}")
    return first


def _difference(first: Any, second: Any) -> str:
    """Where they differ first."""
    if isinstance(first, Counters):
        first, second = structs.asdict(first), structs.asdict(second)
    if isinstance(first, dict) and first.keys() == second.keys():
        for name, value in first.items():
            if value != second[name]:
                return f"{name}: {_difference(value, second[name])}"
    if isinstance(first, list | tuple) and len(first) == len(second):
        for place, (one, other) in enumerate(zip(first, second, strict=True)):
            if one != other:
                return f"{place}: {_difference(one, other)}"
    return f"{first!r}\nis not {second!r}"


class Memoryless(ReadableEngine):
    """Remembers nothing from one call to the next but its draft: what it may drop, it drops."""

    def begin(self, base: Meta) -> None:
        """Begin a draft."""
        self._devices.clear()
        super().begin(base)

    def due(self, fired: Sequence[bytes]) -> Sequence[str]:
        """Take the keys of timers that have fired."""
        self._devices.clear()
        return super().due(fired)

    def read(self, records: Records, start: int, most_bytes: int) -> Reading:
        """Decode some records."""
        self._devices.clear()
        return super().read(records, start, most_bytes)

    def step(self, found: Sequence[StoredDevice | None]) -> None:
        """Process what was read last."""
        self._devices.clear()
        super().step(found)


class RecordByRecord:
    """Implements ``Engine`` by one that takes each record in a step of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read: tuple[Records, int, int, Sequence[str]] | None = None
        self.begin = engine.begin
        self.due = engine.due
        self.run_timers = engine.run_timers
        self.draft = engine.draft
        self.committed = engine.committed
        self.abandon = engine.abandon

    @property
    def counters(self) -> Counters:
        """What the draft holds."""
        return self._engine.counters

    def read(self, records: Records, start: int, most_bytes: int) -> Reading:
        """Read all of them once, for the devices."""
        reading = self._engine.read(records, start, most_bytes)
        self._read = records, start, reading.end, reading.unknown
        return reading

    def step(self, found: Sequence[StoredDevice | None]) -> None:
        """Read them again one by one, each with its step."""
        assert self._read is not None
        records, start, end, unknown = self._read
        stored = dict(zip(unknown, found, strict=True))
        for place in range(start, end):
            reading = self._engine.read(records.part(place, place + 1), 0, 0)
            self._engine.step([stored[device_id] for device_id in reading.unknown])


def twin(options: EngineOptions) -> Twin:
    """The worker's own engine beside one that is as different as the rules allow.

    It has no shortcuts in reading, takes each record alone, and remembers nothing.
    """
    rules = options.rules
    plain = Memoryless(options, SlowPathDecoder(rules.input, rules.identity))
    return Twin(ReadableEngine(options, Decoder(rules.input, rules.identity)), RecordByRecord(plain))
