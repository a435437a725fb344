"""Random streams of raw batches, made to hit the edges of the session rules, and the core run over them.

Few devices, users and session names, so that they meet; times are sums of the rules' own durations and a
millisecond more or less, so that exact edges and equal distances are common. Knows the reference only to let
a later event name a session that the worker assigned to an earlier one.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct, json, structs

from tests.builders import Record, click, ms, record
from tests.enriching import step
from tests.reference.enriching import Reference
from worker.core.encode import encode_step
from worker.core.pipeline import StepResult
from worker.model.rules import SessionRules

Batch = dict[str, Any]


class Stream(Struct, frozen=True):
    """Raw batches under some rules: as the reference takes them, and as records."""

    rules: SessionRules
    batches: list[Batch]

    @property
    def records(self) -> list[Record]:
        """One raw record a batch."""
        return [
            record(
                offset,
                batch["events"],
                received_at=-1 if batch["received_at"] is None else batch["received_at"],
            )
            for offset, batch in enumerate(self.batches)
        ]

    @property
    def options(self) -> dict[str, int]:
        """The rules in the reference's words."""
        return structs.asdict(self.rules)


session_rules = st.builds(
    SessionRules,
    gap_ms=st.sampled_from([1_800_000, 1_000, 2, 1, 0]),
    grace_ms=st.sampled_from([300_000, 1_000, 1, 0]),
    max_future_ms=st.sampled_from([300_000, 1, 0]),
    remembered=st.integers(2, 5),
)


def times(rules: SessionRules) -> st.SearchStrategy[int]:
    """Event times on and beside the edges of the rules."""
    return st.builds(
        lambda half_gaps, graces, ms_more: (
            ms("10:00:00") + half_gaps * (rules.gap_ms // 2) + graces * rules.grace_ms + ms_more
        ),
        st.integers(-8, 8),
        st.integers(-2, 1),
        st.integers(-2, 2),
    )


@st.composite
def streams(draw: st.DrawFn, rules: st.SearchStrategy[SessionRules] = session_rules) -> Stream:
    """Any stream: several devices in a batch, late and equal times, held clocks, no times of arrival, users
    and sessions named by clients, also sessions that the worker had assigned.
    """
    drawn_rules = draw(rules)
    stream = Stream(drawn_rules, [])
    reference = Reference(stream.options)
    assigned = ["s1", "s2"]
    for number in range(draw(st.integers(1, 8))):
        event_times = draw(st.lists(times(drawn_rules), min_size=1, max_size=5))
        batch: Batch = {"received_at": draw(arrivals(event_times[0], drawn_rules)), "events": []}
        for index, at in enumerate(event_times):
            event = click(
                draw(st.sampled_from(["d1", "d1", "d2"])),
                at,
                id=f"{number}-{index}",
                type=draw(st.sampled_from(["page_view", "purchase"])),
                user=draw(st.sampled_from([None, None, "ann", "bob"])),
                session=draw(st.none() | st.sampled_from(assigned)),
                view=draw(st.sampled_from([None, "v1", "v2"])),
            )
            batch["events"].append(event)
            assigned.append(reference.enriched(event, batch["received_at"])["session_id"])
        stream.batches.append(batch)
    return stream


def arrivals(t_ms: int, rules: SessionRules) -> st.SearchStrategy[int | None]:
    """When a batch with an event at that time comes in: unknown, soon after, or so that clocks are held."""
    before = [rules.max_future_ms - 1, rules.max_future_ms, rules.max_future_ms + 1, 2 * rules.gap_ms]
    return st.none() | st.sampled_from([t_ms + rules.gap_ms, t_ms, *(t_ms - earlier for earlier in before)])


def enriched_json(result: StepResult) -> list[dict[str, Any]]:
    """The enriched events of a step, read back from their bytes."""
    return [json.decode(value or b"") for _, value, _ in encode_step(result).enriched]


def in_one_call(stream: Stream) -> StepResult:
    """The core over the whole stream at once."""
    return step(*stream.records, rules=stream.rules)


def pieces(records: Sequence[Record], cuts: Iterable[int]) -> list[Sequence[Record]]:
    """The records cut before these positions; none is empty."""
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(records)}), len(records)]
    return [records[start:end] for start, end in pairwise(edges)]
