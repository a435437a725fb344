"""The last record of each session is a function of the device's events, whenever things are published."""

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import json

from tests.builders import Record
from tests.properties.streams import Stream, any_streams, pieces
from tests.reference.outputs import Outputs
from worker.core.closing import run_timers
from worker.core.encode import encode_sessions, encode_step, session_key
from worker.model.outputs import OutputRecord
from worker.model.rules import Rules
from worker.model.state import DeviceState

NEVER_MS = 2**53

instants = st.lists(
    st.tuples(st.integers(-10, 12), st.integers(-1, 2)), max_size=8
)  # gaps after the watermark or before it, and milliseconds more


class Run:
    """The core over a stream, piece by piece, with time passing between the pieces."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.rules = stream.all_rules
        self.states: dict[str, DeviceState] = {}
        self.watermark_ms = 0
        self.sessions: list[OutputRecord] = []
        self.identities: list[OutputRecord] = []

    def take(self, piece: Sequence[Record]) -> None:
        """Some records."""
        result = self.stream.step(piece, self.states, self.watermark_ms)
        self.watermark_ms = result.watermark_ms
        self.states |= result.states
        encoded = encode_step(result)
        self.sessions += encoded["sessions"]
        self.identities += encoded["identities"]

    def close(self, now_ms: int) -> None:
        """The clock has reached this instant."""
        result = run_timers(self.states, self.watermark_ms, now_ms, self.rules)
        self.states |= result.states
        self.sessions += encode_sessions(result.sessions)


def run(stream: Stream, cuts: Iterable[int], closings: Sequence[tuple[int, int]]) -> Run:
    """Cut there, with one closing after each piece, and all closed at the end."""
    running = Run(stream)
    for number, piece in enumerate(pieces(stream.records, cuts)):
        running.take(piece)
        if number < len(closings):
            gaps, ms_more = closings[number]
            running.close(running.watermark_ms + gaps * stream.rules.gap_ms + ms_more)
    running.close(NEVER_MS)
    return running


@given(any_streams(), st.sets(st.integers(1, 7)), instants)
@settings(max_examples=600)
def test_the_last_records_are_those_of_the_slow_reference(
    stream: Stream, cuts: set[int], closings: list[tuple[int, int]]
) -> None:
    outputs = Outputs(stream.options)
    for batch in stream.batches:
        for event in batch["events"]:
            outputs.process(event, batch["received_at"])
            assume(not two_bear_one_id(outputs))
    outputs.end()
    running = run(stream, cuts, closings)
    assert last(running.sessions) == {
        session_key(device_id, session_id): row for (device_id, session_id), row in outputs.sessions.items()
    }
    timelines: dict[str, list[Any]] = {}
    for key, value, _ in running.identities:
        row = None if value is None else without(json.decode(value), "sessions")
        timelines.setdefault((key or b"").decode(), []).append(row)
    assert timelines == outputs.identities


@given(any_streams(), st.sets(st.integers(1, 7)), instants)
def test_revisions_of_a_session_grow(stream: Stream, cuts: set[int], closings: list[tuple[int, int]]) -> None:
    revisions: dict[tuple[bytes | None, int], int] = {}
    assume(stream.retention_ms == Rules().retention_ms)  # an expired device counts its sessions from 1
    for key, value, _ in run(stream, cuts, closings).sessions:
        row = json.decode(value or b"")
        before = revisions.get((key, row["session_number"]), 0)
        assert row["revision"] == before + 1
        revisions[key, row["session_number"]] = row["revision"]


@given(any_streams(), st.sets(st.integers(1, 7)), instants)
def test_an_identity_names_the_same_sessions_whenever_they_were_closed(
    stream: Stream, cuts: set[int], closings: list[tuple[int, int]]
) -> None:
    assert run(stream, cuts, closings).identities == run(stream, (), ()).identities


def two_bear_one_id(outputs: Outputs) -> bool:
    """A client named an id before the worker made it: two sessions with one key."""
    for device in outputs.reference.devices.values():
        ids = [session["id"] for session in device["sessions"]]
        if len(ids) != len(set(ids)):
            return True
    return False


def last(sessions: Iterable[OutputRecord]) -> dict[bytes, dict[str, Any]]:
    """The last record of each key, revision aside."""
    return {key or b"": without(json.decode(value or b""), "revision") for key, value, _ in sessions}


def without(row: dict[str, Any], field: str) -> dict[str, Any]:
    """All but that field."""
    return {name: value for name, value in row.items() if name != field}
