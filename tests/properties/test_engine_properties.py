"""An engine's results depend on records, rules and time alone.

Not on steps, on what it remembers, on drafts that were lost, nor on shortcuts in reading. The twin compares
at every call (``tests.engines.twin``): its second engine has no shortcuts, takes each record alone and
remembers nothing.
"""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tests.builders import Record, ms
from tests.driven_engine import DrivenEngine
from tests.engines import Memoryless, twin
from tests.properties.raw_values import limits, values
from tests.properties.streams import Stream, any_streams
from worker.core.partitioner import Partitioning
from worker.engine.protocol import EngineOptions
from worker.engine.readable import ReadableEngine
from worker.model.rules import Rules
from worker.model.state import StateRecord

HALF_AN_HOUR_MS = 1_800_000


class Turn(Struct, frozen=True):
    """What happens after some records: how they were cut, and what becomes of the draft."""

    records: int
    most_bytes: int
    ends: str
    timers_ms: int
    capacity: int


turns = st.lists(
    st.builds(
        Turn,
        records=st.integers(0, 4),
        most_bytes=st.sampled_from([0, 1, 200, 1_000, 100_000]),
        ends=st.sampled_from(["stays", "stays", "commit", "commit", "lose"]),
        timers_ms=st.integers(-2, 10),
        capacity=st.sampled_from([0, 1, 2, 1_000]),
    ),
    max_size=12,
)


def drive(driven: DrivenEngine, records: Sequence[Record], ends: Sequence[Turn]) -> list[StateRecord]:
    """Take the records by turns, and what is left after them; the states of all committed drafts."""
    committed: list[StateRecord] = []
    place = start = 0  # ``start``: where the open draft began
    is_new = True
    for turn in [*ends, Turn(len(records), 100_000, "commit", 10, 0)]:
        if is_new and turn.timers_ms >= 0:  # once a draft, and before its records
            driven.run_timers(ms("08:00:00") + turn.timers_ms * HALF_AN_HOUR_MS)
        piece = records[place : place + turn.records]
        if piece:
            driven.take(piece, turn.most_bytes)
        place += len(piece)
        is_new = turn.ends != "stays"
        if turn.ends == "commit":
            committed += driven.commit(turn.capacity).states
            start = place
        elif turn.ends == "lose":
            driven.lose()
            place = start
    return committed


@given(any_streams(), turns)
def test_two_engines_are_one_however_records_are_cut_committed_and_lost(
    stream: Stream, ends: list[Turn]
) -> None:
    drive(DrivenEngine(twin, stream.all_rules), stream.records, ends)


@given(any_streams(), st.lists(st.integers(0, 4), max_size=8))
def test_a_lost_draft_leaves_no_trace(stream: Stream, sizes: list[int]) -> None:
    lost, kept = (DrivenEngine(ReadableEngine, stream.all_rules) for _ in range(2))
    place = 0
    for size in [*sizes, len(stream.records)]:
        piece, place = stream.records[place : place + size], place + size
        if piece:
            lost.take(piece)
            before = lost.lose()
            for driven in (lost, kept):
                driven.take(piece)
            after = lost.commit()
            assert after == kept.commit()
            assert after == before


@given(any_streams(), turns, st.sets(st.integers(0, 40)))
def test_what_is_remembered_may_be_dropped_at_any_call(
    stream: Stream, ends: list[Turn], dropped_at: set[int]
) -> None:
    class DropsNowAndThen(Memoryless):
        """Drops at the calls with these numbers."""

        def __init__(self, options: EngineOptions) -> None:
            super().__init__(options)
            remembered, calls = self._devices.clear, iter(range(10**9))
            self._devices.clear = lambda: remembered() if next(calls) in dropped_at else None  # type: ignore[method-assign]

    states = [
        drive(DrivenEngine(make_engine, stream.all_rules), stream.records, ends)
        for make_engine in (ReadableEngine, DropsNowAndThen, Memoryless)
    ]
    assert states[0] == states[1] == states[2]


@given(st.lists(st.none() | values, min_size=1, max_size=6))
def test_two_engines_are_one_whatever_values_are_sent(sent: list[bytes | None]) -> None:
    """With four partitions, so that events of three quarters of the devices leave."""
    records = [Record("events.raw", 0, offset, -1, None, value) for offset, value in enumerate(sent)]
    driven = DrivenEngine(twin, Rules(input=limits), Partitioning(partitions=4))
    driven.take(records)
    driven.commit()
