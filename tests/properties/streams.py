"""Random streams of raw batches, made to hit the edges of the session rules, and the core run over them.

Few devices, types, users and session names, so that they meet; times are sums of the rules' own durations
and a millisecond more or less, so that exact edges and equal distances are common. A whole stream is made
from one drawn run of bytes: many times faster than a draw for every choice. Knows the reference only to let a
later event name a session that the worker assigned to an earlier one.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from hypothesis import strategies as st
from msgspec import Struct, json, structs

from tests.builders import Record, click, ms, record
from tests.core_step import DECODER, NO_RECORDS
from tests.reference.events import Reference
from worker.core.device_step import StepResult
from worker.core.encode import encode_step
from worker.core.pipeline import decode_records, process
from worker.model.rules import EventAction, InputRules, Rules, SessionRules
from worker.model.state import DeviceState, Session

Batch = dict[str, Any]

TYPES = ("page_view", "purchase", "ping")
NAMED = ("s1", "s2")
"""Session names of clients; an event may also name one that the worker has assigned."""

FEW_USERS = (None, None, None, "ann", "bob")
MANY_USERS = (None, *(f"user{number}" for number in range(12)))
"""Of a device that so many share older links are given up."""

MAX_EVENTS = 30
DRAWN_BYTES = 26 + 12 * MAX_EVENTS
"""Enough for the rules and for each event's choices."""

Choice = TypeVar("Choice")


class Stream(Struct, frozen=True):
    """Raw batches under some rules: as the reference takes them, and as records."""

    rules: SessionRules
    retention_ms: int
    input: InputRules
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
        """One raw record an event, received when its batch was."""
        return Stream(
            self.rules,
            self.retention_ms,
            self.input,
            [batch | {"events": [event]} for batch in self.batches for event in batch["events"]],
        ).records

    @property
    def all_rules(self) -> Rules:
        """The rules as the core takes them."""
        return Rules(input=self.input, session=self.rules, retention_ms=self.retention_ms)

    @property
    def options(self) -> dict[str, Any]:
        """The rules in the reference's words."""
        return structs.asdict(self.input) | structs.asdict(self.rules) | {"retention_ms": self.retention_ms}

    def step(
        self,
        records: Sequence[Record],
        states: Mapping[str, DeviceState] | None = None,
        watermark_ms: int = 0,
    ) -> StepResult:
        """One call of the core over some of the records."""
        decoded = decode_records(records, DECODER)
        return process(decoded, states or {}, watermark_ms, NO_RECORDS, self.all_rules)


class Choices:
    """Choices made by bytes: the same bytes make the same ones, a zero byte makes the first, the plainest."""

    def __init__(self, drawn: bytes) -> None:
        self._drawn = iter(drawn)

    def of(self, alternatives: Sequence[Choice]) -> Choice:
        """The next choice."""
        return alternatives[next(self._drawn) % len(alternatives)]


def any_streams() -> st.SearchStrategy[Stream]:
    """Any stream under any rules.

    Ids that come again, several devices in a batch, late and equal times, held clocks, no times of arrival,
    users, few or many, sessions named by clients, also sessions that the worker had assigned, devices that
    expire in between.
    """
    return st.binary(min_size=DRAWN_BYTES, max_size=DRAWN_BYTES).map(stream_of)


def stream_of(drawn: bytes) -> Stream:
    """The stream that these bytes stand for."""
    choose = Choices(drawn)
    rules = chosen_rules(choose)
    retention_half_gaps = choose.of([None, None, None, 2, 3, 8])
    retention_ms = Rules().retention_ms
    if retention_half_gaps is not None:
        retention_ms = max(0, retention_half_gaps * (rules.gap_ms // 2) + choose.of([0, 1, -1]))
    stream = Stream(rules, retention_ms, chosen_input(choose, rules), [])
    reference = Reference(stream.options)
    users = choose.of([FEW_USERS, FEW_USERS, MANY_USERS])
    named = list(NAMED)
    for number in range(choose.of(range(1, MAX_EVENTS + 1))):
        t_ms = chosen_time(choose, rules)
        arrival = chosen_arrival(choose, t_ms, rules)
        if choose.of([True, False, False]) or not stream.batches:
            stream.batches.append({"received_at": arrival, "events": []})
        name = choose.of([None, None, None, None, None, None, -1, -2, -3, 0, 1])
        repeated = choose.of([0, 0, 0, 1, 2, 3])  # the id of so many events before
        event = click(
            choose.of(["d1", "d1", "d1", "d1", "d2"]),
            t_ms,
            id=str(max(0, number - repeated)),
            type=choose.of(TYPES),
            user=choose.of(users),
            session=None if name is None else named[name % len(named)],
            view=choose.of([None, "v1", "v2"]),
        )
        batch = stream.batches[-1]
        batch["events"].append(event)
        enriched = reference.enriched(event, batch["received_at"])
        if enriched is not None and "session_id" in enriched:
            named.append(enriched["session_id"])
    return stream


def chosen_input(choose: Choices, rules: SessionRules) -> InputRules:
    """What becomes of duplicates, often nothing; few ids are remembered, for about a gap."""
    return InputRules(
        duplicates=choose.of(["keep", "keep", "flag", "drop"]),
        duplicates_remembered=choose.of([500, 1, 2, 3]),
        duplicates_ms=max(1, choose.of([1, 2, 3, 4]) * (rules.gap_ms // 2) + choose.of([0, 1, -1])),
    )


def chosen_rules(choose: Choices) -> SessionRules:
    """Rules of which each option is off as often as not; the greatest duration is about the gap."""
    gap_ms = choose.of([1_800_000, 1_000, 2, 1, 0])
    half_gaps, ms_more = choose.of([0, 0, 0, 0, 0, 1, 2, 3, 4, 6]), choose.of([0, 1, -1])
    named_types = choose.of([0, 0, 0, 1, 2, 3])
    actions: list[tuple[str, EventAction]] = [
        (choose.of([*TYPES, "*"]), choose.of(["start", "passive", "end", "unlink", "normal"]))
        for _ in range(3)
    ]
    return SessionRules(
        gap_ms=gap_ms,
        grace_ms=choose.of([300_000, 1_000, 1, 0]),
        max_future_ms=choose.of([300_000, 1, 0]),
        remembered=choose.of([4, 2, 3, 5]),
        max_duration_ms=max(0, half_gaps * (gap_ms // 2) + ms_more) if half_gaps else 0,
        bounce_ms=choose.of([0, 0, 1, 2, gap_ms // 2, gap_ms]),
        split_on_user_change=choose.of([False, True]),
        event_types=dict(actions[:named_types]),
    )


def chosen_time(choose: Choices, rules: SessionRules) -> int:
    """A time on or beside the edges of the rules."""
    half_gaps = choose.of([0, 1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4, -5, -6, -7, -8])
    graces = choose.of([0, 0, 0, -2, -1, 1])
    ms_more = choose.of([0, 0, 1, -1, 2, -2])
    return ms("10:00:00") + half_gaps * (rules.gap_ms // 2) + graces * rules.grace_ms + ms_more


def chosen_arrival(choose: Choices, t_ms: int, rules: SessionRules) -> int | None:
    """When a batch with an event at that time comes in: unknown, soon after, or so that clocks are held."""
    at_the_limit = t_ms - rules.max_future_ms
    return choose.of(
        [
            None,
            t_ms + rules.gap_ms,
            t_ms,
            at_the_limit + 1,
            at_the_limit,
            at_the_limit - 1,
            t_ms - 2 * rules.gap_ms,
        ]
    )


def enriched_json(result: StepResult) -> list[dict[str, Any]]:
    """The enriched events of a step, read back from their bytes."""
    return [json.decode(value or b"") for _, value, _ in encode_step(result)["enriched"]]


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
