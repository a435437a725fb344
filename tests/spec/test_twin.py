"""A twin shows every difference between two engines, whichever of the two is wrong."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from msgspec import structs

from tests.builders import click, ms, record
from tests.driven_engine import DrivenEngine
from tests.engines import EnginesDifferError, Twin, twin
from worker.core.partitioner import Partitioning
from worker.core.state_codec import hot_key
from worker.engine.protocol import Counters, Drafted, EngineOptions, Reading, StoredDevice
from worker.engine.readable import ReadableEngine
from worker.errors import StateCorrupted
from worker.model.output_records import ListedOutgoing, Outgoing
from worker.model.records import Records
from worker.model.rules import Rules

SPREAD = Partitioning(partitions=4)
HERE = [device for device in map("d{}".format, range(40)) if SPREAD.partition_of(device) == 0]
RECORDS = [
    record(0, [click(HERE[0], "10:00:00", user="ann"), click(HERE[1], "10:00:00"), {"id": "bad"}]),
    record(1, [click(device, "10:01:00") for device in ("d1", "d2", "d3", "d4", *HERE[:2])], key="d1"),
    record(2, b"broken"),
    record(3, [click(HERE[0], "12:00:00", user="bob"), click(HERE[2], "12:00:00")]),
]


def drive(driven: DrivenEngine) -> None:
    """Something of everything: records, timers, a lost draft, events of other partitions."""
    driven.take(RECORDS[:3])
    driven.commit()
    driven.run_timers(ms("11:30:00"))
    driven.take(RECORDS[3:])
    driven.lose()
    driven.run_timers(ms("11:30:00"))
    driven.take(RECORDS[3:])
    driven.commit()


class ReadsTooFar(ReadableEngine):
    def read(self, records: Records, start: int, most_bytes: int) -> Reading:
        reading = super().read(records, start, most_bytes)
        return structs.replace(reading, next_offset=reading.next_offset + 1)


class CountsOneMore(ReadableEngine):
    @property
    def counters(self) -> Counters:
        counters = super().counters
        return structs.replace(counters, sessions_closed=counters.sessions_closed + 1)

    def draft(self, next_offsets: Mapping[str, int]) -> Drafted:
        return structs.replace(super().draft(next_offsets), counters=self.counters)


class RunsNoTimers(ReadableEngine):
    def run_timers(self, found: Sequence[StoredDevice | None], now_ms: int) -> None:
        super().run_timers(found, 0)


class KeepsALostDraft(ReadableEngine):
    def abandon(self) -> None:
        """Remember the states of the draft, which nobody has committed."""
        states = self._open().committed_states()
        super().abandon()
        self._devices.keep(states, 1_000)


class FailsOnAState(ReadableEngine):
    def run_timers(self, found: Sequence[StoredDevice | None], now_ms: int) -> None:
        if any(found):
            raise StateCorrupted("it cannot read it")
        super().run_timers(found, now_ms)

    def committed(self, capacity: int) -> None:
        super().committed(capacity)
        self._devices.clear()


def other_gap(options: EngineOptions) -> ReadableEngine:
    rules = options.rules
    session = structs.replace(rules.session, gap_ms=rules.session.gap_ms // 60)
    return ReadableEngine(structs.replace(options, rules=structs.replace(rules, session=session)))


def other_content(**changes: Callable[[Drafted], object]) -> type[ReadableEngine]:
    """An engine that changes these fields of what it has drafted."""

    class ChangesTheDraft(ReadableEngine):
        def draft(self, next_offsets: Mapping[str, int]) -> Drafted:
            drafted = super().draft(next_offsets)
            return structs.replace(drafted, **{name: change(drafted) for name, change in changes.items()})

    return ChangesTheDraft


def without_the_last(part: Outgoing) -> ListedOutgoing:
    return ListedOutgoing(part.role, part.partition, list(part)[:-1])


def a_millisecond_later(part: Outgoing) -> ListedOutgoing:
    later = [(key, value, None if at_ms is None else at_ms + 1) for key, value, at_ms in part]
    return ListedOutgoing(part.role, part.partition, later)


MUTANTS: dict[str, Callable[[EngineOptions], ReadableEngine]] = {
    "another rule": other_gap,
    "reads too far": ReadsTooFar,
    "counts one more": CountsOneMore,
    "runs no timers": RunsNoTimers,
    "keeps a lost draft": KeepsALostDraft,
    "fails on a state": FailsOnAState,
    "an output less": other_content(outgoing=lambda d: [without_the_last(part) for part in d.outgoing]),
    "an output later": other_content(outgoing=lambda d: [a_millisecond_later(part) for part in d.outgoing]),
    "outputs in another order": other_content(outgoing=lambda d: d.outgoing[::-1]),
    "a state less": other_content(states=lambda d: d.states[1:]),
    "states in another order": other_content(states=lambda d: d.states[::-1]),
    "another watermark": other_content(meta=lambda d: structs.replace(d.meta, watermark_ms=1)),
    "timers that stay": other_content(timers=lambda d: [one for one in d.timers if one[1] is not None]),
    "nothing leaves": other_content(leaving=lambda d: {}),
    "no headers": other_content(
        leaving=lambda d: {
            to: [structs.replace(one, headers=()) for one in records] for to, records in d.leaving.items()
        }
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_a_mutant_is_found_whichever_of_the_two_it_is(
    mutant: Callable[[EngineOptions], ReadableEngine],
) -> None:
    for make_twin in (
        lambda options: Twin(mutant(options), ReadableEngine(options)),
        lambda options: Twin(ReadableEngine(options), mutant(options)),
    ):
        with pytest.raises(EnginesDifferError):
            drive(DrivenEngine(make_twin, Rules(), SPREAD))


def test_equal_engines_are_one() -> None:
    for make_twin in (twin, lambda options: Twin(ReadableEngine(options), ReadableEngine(options))):
        driven, alone = (
            DrivenEngine(make_twin, Rules(), SPREAD),
            DrivenEngine(ReadableEngine, Rules(), SPREAD),
        )
        drive(driven)
        drive(alone)
        assert driven.meta == alone.meta
        assert driven.store.keys(b"", b"\xff", 1_000) == alone.store.keys(b"", b"\xff", 1_000)


def test_an_error_that_both_raise_is_the_twins() -> None:
    driven = DrivenEngine(twin, Rules(), SPREAD)
    driven.take(RECORDS[:1])
    driven.commit()
    driven.lose()  # what is remembered is lost with it
    checkpoint = driven.store.checkpoint()
    assert checkpoint is not None
    driven.store.write([(hot_key(HERE[0]), b"not a record")], checkpoint)
    with pytest.raises(StateCorrupted, match="does not decode"):
        driven.take(RECORDS[:1])
