"""Random streams of raw batches, made to hit the edges of the session rules, and the core run over them.

Few devices, types, users and session names, so that they meet; times are sums of the rules' own durations and
a millisecond more or less, so that exact edges and equal distances are common. A stream is drawn as small
numbers first and read with the rules afterwards: that draws fast and shrinks well. Knows the reference only
to let a later event name a session that the worker assigned to an earlier one.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct, json, structs

from tests.builders import Record, click, ms, record
from tests.enriching import step
from tests.reference.enriching import Reference
from worker.core.encode import encode_step
from worker.core.pipeline import StepResult
from worker.model.rules import EventAction, Rules, SessionRules
from worker.model.state import DeviceState, Session

Batch = dict[str, Any]

TYPES = ("page_view", "purchase", "ping")
USERS = (None, None, None, "ann", "bob")
VIEWS = (None, "v1", "v2")
NAMED = ("s1", "s2")
"""Session names of clients; an event may also name one that the worker has assigned."""


class Stream(Struct, frozen=True):
    """Raw batches under some rules: as the reference takes them, and as records."""

    rules: SessionRules
    retention_ms: int
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
    def single_records(self) -> list[Record]:
        """One raw record an event, its clock never held."""
        events = [event for batch in self.batches for event in batch["events"]]
        return [record(offset, event) for offset, event in enumerate(events)]

    @property
    def options(self) -> dict[str, Any]:
        """The rules in the reference's words."""
        return structs.asdict(self.rules) | {"retention_ms": self.retention_ms}

    def step(
        self,
        records: Sequence[Record],
        states: Mapping[str, DeviceState] | None = None,
        watermark_ms: int = 0,
    ) -> StepResult:
        """One call of the core over some of the records."""
        return step(
            *records,
            states=states,
            rules=self.rules,
            retention_ms=self.retention_ms,
            watermark_ms=watermark_ms,
        )


gaps_ms = st.sampled_from([1_800_000, 1_000, 2, 1, 0])
graces_ms = st.sampled_from([300_000, 1_000, 1, 0])
futures_ms = st.sampled_from([300_000, 1, 0])
actions = st.dictionaries(
    st.sampled_from([*TYPES, "*"]),
    st.sampled_from(["start", "passive", "end", "unlink", "normal"]),
    max_size=3,
)


def with_options(
    gap_ms: int,
    half_gaps: int,
    ms_more: int,
    split: bool,
    event_types: dict[str, EventAction],
    plain: SessionRules,
) -> SessionRules:
    """Rules whose greatest duration is about the gap (off where that comes to nothing)."""
    return structs.replace(
        plain,
        gap_ms=gap_ms,
        max_duration_ms=max(0, half_gaps * (gap_ms // 2) + ms_more) if half_gaps else 0,
        split_on_user_change=split,
        event_types=event_types,
    )


rules_without_options = st.builds(
    SessionRules,
    gap_ms=gaps_ms,
    grace_ms=graces_ms,
    max_future_ms=futures_ms,
    remembered=st.integers(2, 5),
)
rules_with_options = st.builds(
    with_options,
    gaps_ms,
    st.sampled_from([0, 0, 1, 2, 3, 4, 6]),
    st.integers(-1, 1),
    st.booleans(),
    actions,
    rules_without_options,
)
any_rules = rules_without_options | rules_with_options

DrawnEvent = tuple[int, int, int, str, str, str | None, str | None, int | None]

drawn_events = st.tuples(
    st.integers(-8, 8),  # half gaps,
    st.integers(-2, 1),  # graces
    st.integers(-2, 2),  # and milliseconds after ten o'clock
    st.sampled_from(["d1", "d1", "d1", "d2"]),
    st.sampled_from(TYPES),
    st.sampled_from(USERS),
    st.sampled_from(VIEWS),
    st.sampled_from([None, None, None, 0, 1, 2, 3, 5, 8]),  # which session is named
)
drawn_batches = st.lists(
    st.tuples(st.integers(0, 6), st.lists(drawn_events, min_size=1, max_size=5)), min_size=1, max_size=8
)
drawn_retentions = st.sampled_from([None, None, None, (2, 0), (3, 1), (8, -1)])


def streams(rules: st.SearchStrategy[SessionRules] = any_rules) -> st.SearchStrategy[Stream]:
    """Any stream: several devices in a batch, late and equal times, held clocks, no times of arrival, users
    and sessions named by clients, also sessions that the worker had assigned, devices forgotten on the way.
    """
    return st.builds(stream_of, rules, drawn_retentions, drawn_batches)


def stream_of(
    rules: SessionRules,
    retention_half_gaps: tuple[int, int] | None,
    drawn: Sequence[tuple[int, Sequence[DrawnEvent]]],
) -> Stream:
    """The stream that was drawn."""
    retention_ms = Rules().retention_ms
    if retention_half_gaps is not None:
        half_gaps, ms_more = retention_half_gaps
        retention_ms = max(0, half_gaps * (rules.gap_ms // 2) + ms_more)
    stream = Stream(rules, retention_ms, [])
    reference = Reference(stream.options)
    named = list(NAMED)
    for number, (arrival, events) in enumerate(drawn):
        first_t_ms = event_time(rules, *events[0][:3])
        batch: Batch = {"received_at": arrival_time(arrival, first_t_ms, rules), "events": []}
        for index, (half_gaps, graces, ms_more, device, event_type, user, view, name) in enumerate(events):
            event = click(
                device,
                event_time(rules, half_gaps, graces, ms_more),
                id=f"{number}-{index}",
                type=event_type,
                user=user,
                session=None if name is None else named[-name % len(named)],
                view=view,
            )
            batch["events"].append(event)
            session_id = reference.enriched(event, batch["received_at"]).get("session_id")
            if session_id is not None:
                named.append(session_id)
        stream.batches.append(batch)
    return stream


def event_time(rules: SessionRules, half_gaps: int, graces: int, ms_more: int) -> int:
    """A time on or beside the edges of the rules."""
    return ms("10:00:00") + half_gaps * (rules.gap_ms // 2) + graces * rules.grace_ms + ms_more


def arrival_time(drawn: int, t_ms: int, rules: SessionRules) -> int | None:
    """When a batch with an event at that time comes in: unknown, soon after, or so that clocks are held."""
    at_the_limit = t_ms - rules.max_future_ms
    return [
        None,
        t_ms + rules.gap_ms,
        t_ms,
        at_the_limit + 1,
        at_the_limit,
        at_the_limit - 1,
        t_ms - 2 * rules.gap_ms,
    ][drawn]


def enriched_json(result: StepResult) -> list[dict[str, Any]]:
    """The enriched events of a step, read back from their bytes."""
    return [json.decode(value or b"") for _, value, _ in encode_step(result).enriched]


def in_one_call(stream: Stream) -> StepResult:
    """The core over the whole stream at once."""
    return stream.step(stream.records)


def pieces(records: Sequence[Record], cuts: Iterable[int]) -> list[Sequence[Record]]:
    """The records cut before these positions; none is empty."""
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(records)}), len(records)]
    return [records[start:end] for start, end in pairwise(edges)]


def sessions_of(state: DeviceState) -> list[Session]:
    """All remembered sessions of a device; none where only passive events came."""
    return [] if state.current is None else [state.current, *state.older]
