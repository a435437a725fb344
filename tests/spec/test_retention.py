"""A device that was away for longer than the retention is a new one (docs/sessions.md, Expiry)."""

from tests.builders import RawEvent, click, ms, record
from tests.core_step import step
from worker.model.outputs import EnrichedEvent
from worker.model.rules import Rules, SessionRules
from worker.model.state import DeviceState, Link

DAY_MS = 86_400_000


def test_a_device_is_known_for_396_days() -> None:
    assert Rules().retention_ms == 396 * DAY_MS


def test_a_device_away_for_exactly_the_retention_is_known_and_a_millisecond_longer_is_new() -> None:
    first = click("d1", at="10:00:00.000", user="ann")
    _, known = events(first, click("d1", at="34:00:00.000"))
    assert (known.flags, known.user_id, known.session_number) == (("session_start",), "ann", 2)
    _, new = events(first, click("d1", at="34:00:00.001"))
    assert new.flags == ("new_device", "session_start")
    assert (new.user_id, new.session_number, new.session_cause) == (None, 1, "first")


def test_nothing_of_what_was_before_is_left() -> None:
    states = step(
        click("d1", at="10:00:00", user="ann", session="s1"), click("d1", at="11:00:00"), retention_ms=DAY_MS
    ).states
    new_start = click("d1", at="35:00:00.001", user="bob")
    state = step(new_start, states=states, retention_ms=DAY_MS).states["d1"]
    assert state == step(new_start, retention_ms=DAY_MS).states["d1"]
    assert (state.older, state.timeline.links) == ((), (Link(ms("35:00:00.001"), "bob"),))
    assert state.first_seen_ms == ms("35:00:00.001")


def test_the_time_away_counts_from_the_newest_event_not_from_the_last_to_arrive() -> None:
    *_, back = events(click("d1", at="10:00:00"), click("d1", at="08:00:00"), click("d1", at="34:00:00.000"))
    assert "new_device" not in back.flags


def test_a_passive_event_keeps_a_device_known() -> None:
    rules = SessionRules(event_types={"ping": "passive"})
    visit = [
        click("d1", at="10:00:00"),
        click("d1", at="20:00:00", type="ping"),
        click("d1", at="44:00:00.000"),
    ]
    assert "new_device" not in events(*visit, rules=rules)[-1].flags
    assert "new_device" in events(*visit, click("d1", at="68:00:00.001"), rules=rules)[-1].flags


def test_when_a_device_was_first_seen_is_the_time_of_its_oldest_event() -> None:
    visit = [click("d1", at="10:00:00"), click("d1", at="11:00:00"), click("d1", at="09:00:00")]
    assert [step(*visit[:n]).states["d1"].first_seen_ms for n in (1, 2, 3)] == [
        ms("10:00:00"),
        ms("10:00:00"),
        ms("09:00:00"),
    ]


def test_an_old_event_of_a_device_that_is_known_expires_nothing() -> None:
    _, old, again = events(click("d1", at="34:00:00"), click("d1", at="00:00:00"), click("d1", at="34:01:00"))
    assert old.flags == ("session_start", "out_of_order", "late")
    assert again.session_number == 1


def test_a_clock_that_runs_ahead_does_not_expire_its_device() -> None:
    """The held time counts: ten years ahead are five minutes."""
    visit = [
        record(0, click("d1", at="10:00:00"), received_at="10:00:00"),
        record(1, click("d1", at="87600:00:00"), received_at="10:01:00"),
    ]
    _, ahead = step(*visit).enriched
    assert ahead.flags == ("clock_skew",)
    assert ahead.session_number == 1


def test_a_new_start_within_one_batch_and_one_within_one_record_are_the_same() -> None:
    starts = [click("d1", at="10:00:00"), click("d1", at="35:00:00"), click("d1", at="60:00:01")]
    together = step(record(0, starts), retention_ms=DAY_MS)
    states: dict[str, DeviceState] = {}
    one_by_one: list[EnrichedEvent] = []
    for start in starts:
        result = step(record(0, start, received_at="60:00:01"), states=states, retention_ms=DAY_MS)
        states |= result.states
        one_by_one += result.enriched
    assert together.enriched == one_by_one
    assert [event.session_number for event in one_by_one] == [1, 1, 1]
    assert together.states == states


def test_a_device_that_expires_leaves_others_alone() -> None:
    _, _, other = events(
        click("d1", at="10:00:00"),
        click("d2", at="34:00:00"),
        click("d1", at="34:00:01"),
    )
    assert "new_device" in other.flags
    _, _, other = events(click("d2", at="34:00:00"), click("d1", at="10:00:00"), click("d2", at="34:00:01"))
    assert other.flags == ()


def events(*raw: RawEvent, rules: SessionRules | None = None) -> list[EnrichedEvent]:
    """The enriched events where devices are kept for a day."""
    return step(*raw, rules=rules or SessionRules(), retention_ms=DAY_MS).enriched
