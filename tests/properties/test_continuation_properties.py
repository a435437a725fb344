"""The short way of the common event is the rules in full, on every stream and under any rules."""

from hypothesis import given
from hypothesis import strategies as st

from tests.core_step import DECODER
from tests.properties.streams import Stream, any_streams
from worker.core.continuation import ShortWay
from worker.core.device_step import enrich
from worker.core.pipeline import decode_records, process
from worker.core.session_changes import SessionChanges
from worker.model.events import TIMESTAMP_LIMIT_MS, Event
from worker.model.outputs import EnrichedEvent, IdentityRecord, SessionRecord
from worker.model.rules import Rules
from worker.model.state import DeviceState, ExpiryClock


@given(any_streams(), st.booleans(), st.booleans())
def test_what_goes_the_short_way_comes_out_as_by_the_rules_in_full(
    stream: Stream, publish_sessions: bool, publish_identities: bool
) -> None:
    rules = Rules(
        session=stream.rules,
        retention_ms=stream.retention_ms,
        publish_sessions=publish_sessions,
        publish_identities=publish_identities,
    )
    states: dict[str, DeviceState] = {}
    watermark_ms, expiry = 0, ExpiryClock()
    for record in stream.records:
        decoded = decode_records([record], DECODER)
        events = decoded.values[0].events
        for place, event in enumerate(events):
            if event.device_id in states:
                _assert_same(
                    states[event.device_id], list(events[place:]), record.timestamp, watermark_ms, rules
                )
        result = process(decoded, states, watermark_ms, expiry, rules)
        states |= result.states
        watermark_ms, expiry = result.watermark_ms, result.expiry


def _assert_same(
    state: DeviceState, events: list[Event], received_at: int, watermark_ms: int, rules: Rules
) -> None:
    """The run of events at the front, the short way and in full, on forks of one state."""
    received = None if received_at == -1 else received_at
    limit_ms = TIMESTAMP_LIMIT_MS if received is None else received + rules.session.max_future_ms
    short, full = state.fork(), state.fork()
    following = iter(events[1:])
    taken: list[EnrichedEvent] = []
    left = ShortWay(rules).take(events[0], following, short, limit_ms, received, 0, taken)
    assert ([] if left is None else [left, *following]) == events[len(taken) :]

    sessions: list[SessionRecord] = []
    identities: list[tuple[str, IdentityRecord | None]] = []
    for event, short_one in zip(events, taken, strict=False):
        assert event.timestamp <= limit_ms
        in_full = enrich(
            event,
            full,
            event.timestamp,
            received,
            watermark_ms,
            rules,
            SessionChanges(),
            sessions,
            identities,
        )
        assert short_one == in_full
        if received is not None:
            watermark_ms = max(watermark_ms, event.timestamp)
    assert short == full
    assert not sessions
    assert not identities
