"""The plain case of an event is the rules in full, on every stream and under any rules."""

from hypothesis import given
from hypothesis import strategies as st

from tests.core_step import DECODER
from tests.properties.streams import Stream, any_streams
from worker.core.continuation import Continuation
from worker.core.device_step import DeviceStep, StepResult
from worker.core.pipeline import decode_records, process
from worker.model.events import TIMESTAMP_LIMIT_MS, Event, InputRecord
from worker.model.outputs import EnrichedEvent
from worker.model.rules import Rules
from worker.model.state import DeviceState, ExpiryClock


@given(any_streams(), st.booleans(), st.booleans())
def test_plain_events_come_out_as_by_the_rules_in_full(
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
        for index, event in enumerate(events):
            if event.device_id in states:
                _assert_same(states[event.device_id], list(events[index:]), record, watermark_ms, rules)
        result = process(decoded, states, watermark_ms, expiry, rules)
        states |= result.states
        watermark_ms, expiry = result.watermark_ms, result.expiry


def _assert_same(
    state: DeviceState, events: list[Event], record: InputRecord, watermark_ms: int, rules: Rules
) -> None:
    """The plain events at the front, as plain ones and by the rules in full, on forks of one state."""
    received_at = None if record.timestamp == -1 else record.timestamp
    limit_ms = TIMESTAMP_LIMIT_MS if received_at is None else received_at + rules.session.max_future_ms
    short, full = state.fork(), state.fork()
    following = iter(events[1:])
    plain: list[EnrichedEvent] = []
    left = Continuation(rules, plain).extend_session(events[0], following, short, limit_ms, received_at)
    assert ([] if left is None else [left, *following]) == events[len(plain) :]

    result = StepResult(watermark_ms, ExpiryClock())
    in_full = DeviceStep(rules, result)
    in_full.received_at = received_at
    for event in events[: len(plain)]:
        assert event.timestamp <= limit_ms
        in_full.enrich(event, full, event.timestamp)
        if received_at is not None:
            in_full.watermark_ms = max(in_full.watermark_ms, event.timestamp)
    assert plain == result.enriched
    assert short == full
    assert not result.sessions
    assert not result.identities
