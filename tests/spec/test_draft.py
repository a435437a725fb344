"""What one transaction commits together: outputs, states, offsets, watermark."""

from collections.abc import Mapping

from msgspec import structs

from tests.builders import RawEvent, Record, click, ms, record
from tests.core_step import published, step
from worker.core.closing import run_timers
from worker.core.duplicates import ENTRY_BYTES
from worker.core.encode import encode_step
from worker.core.state_codec import META_KEY, cold_key, decode_meta, decode_state, hot_key
from worker.engine.draft import Draft
from worker.model.rules import InputRules, Rules
from worker.model.state import DeviceState, ExpiryClock, Meta, StateRecord

BASE = Meta(
    schema=2, incarnation="b2f1", raw_topic="events.raw", next_offsets={"events.raw": 10}, watermark_ms=5
)


def test_an_empty_draft_moves_nothing() -> None:
    draft = Draft(BASE)
    assert draft.meta(BASE.next_offsets) == BASE
    assert [key for key, _ in draft.state_records(BASE)] == [META_KEY]


def test_watermark_and_expiry_clock_are_those_of_the_last_step() -> None:
    draft = Draft(BASE)
    add(draft, record(10, click("d1", at="10:00:00")))
    add(draft, record(14, click("d1", at="10:01:00")), record(15, b"broken"))
    assert draft.meta({"events.raw": 16}) == structs.replace(
        BASE,
        next_offsets={"events.raw": 16},
        watermark_ms=ms("10:01:00"),
        expiry=ExpiryClock(at_ms=ms("10:00:00"), records=2),
    )


def test_the_base_it_was_opened_on_is_not_changed() -> None:
    """An abort drops the draft and goes on from the base."""
    base = structs.replace(BASE, next_offsets={"events.raw": 10})
    add(Draft(base), record(10, click("d1")))
    assert base == BASE


def test_outputs_are_in_order_of_arrival() -> None:
    draft = Draft(BASE)
    add(draft, record(10, [click("d1", id="a"), click("d2", id="b")]))
    add(draft, record(11, [click("d1", id="c")]))
    assert [key for key, _, _ in draft.outputs("enriched")] == [b"d1", b"d2", b"d1"]
    assert [(value or b"")[:9] for _, value, _ in draft.outputs("enriched")] == [
        b'{"id":"a"',
        b'{"id":"b"',
        b'{"id":"c"',
    ]


def test_it_counts_every_outcome_and_has_the_place_of_the_newest_dead_letter() -> None:
    draft = Draft(BASE)
    add(draft, record(10, [click("d1", user="ann"), {"id": "bad"}]), record(11, None))
    add(draft, record(12, {"id": "bad"}), record(13, click("d1")))
    counters = draft.counters
    assert (counters.records, counters.events, counters.enriched) == (4, 5, 2)
    assert (counters.sessions_opened, counters.devices_linked) == (1, 1)
    assert counters.dead_letters_by_reason == {"missing_field": 2, "tombstone": 1}
    assert counters.last_dead_letter == "events.raw/0/12"


def test_a_device_is_written_once_as_it_is_at_the_end() -> None:
    draft = Draft(BASE)
    add(draft, record(10, click("d1", at="10:00:00")))
    add(draft, record(11, click("d1", at="10:05:00")))
    records = draft.state_records(BASE)
    assert [key for key, _ in records] == [hot_key("d1"), cold_key("d1"), META_KEY]
    state = stored(records, "d1")
    assert state.event_count == 2
    assert state.newest_ms == ms("10:05:00")


def test_the_meta_record_is_the_last_one_so_that_a_reader_of_it_has_read_the_rest() -> None:
    draft = Draft(BASE)
    add(draft, record(10, [click("d1"), click("d2")]))
    meta = draft.meta({"events.raw": 11})
    key, value = draft.state_records(meta)[-1]
    assert key == META_KEY
    assert decode_meta(value or b"") == meta


def test_after_the_commit_an_unchanged_cold_record_is_not_written_again() -> None:
    first = Draft(BASE)
    add(first, record(10, click("d1", at="10:00:00")))
    first.state_records(BASE)
    committed = known(first.committed_states())
    second = Draft(first.meta({"events.raw": 11}))
    events: list[RawEvent] = [click("d1", at="10:01:00")]
    result = step(record(11, events), states=committed)
    second.add_step(1, result, encode_step(result))
    assert [key for key, _ in second.state_records(BASE)] == [hot_key("d1"), META_KEY]


def test_a_cold_change_is_written_also_when_a_later_step_of_the_draft_changed_nothing_cold() -> None:
    draft = Draft(BASE)
    add(draft, record(10, click("d1", at="10:00:00", user="ann")))
    add(draft, record(11, click("d1", at="10:01:00", user="ann")))
    assert cold_key("d1") in dict(draft.state_records(BASE))


def test_dropped_duplicates_are_counted_and_are_among_the_events() -> None:
    """Else a draft of nothing else would never be full, and no figure would show them."""
    draft = Draft(BASE)
    batch = [click("d1", id="a"), click("d1", id="b"), click("d1", id="a")]
    for duplicates in ("drop", "flag"):
        rules = Rules(input=InputRules(duplicates=duplicates))
        result = published(*batch, rules=rules)
        draft.add_step(1, result, encode_step(result))
    assert (draft.counters.events, draft.counters.enriched) == (6, 5)
    assert (draft.counters.duplicates_dropped, draft.counters.duplicates_flagged) == (1, 1)
    assert len(draft.outputs("enriched")) == 5


def test_what_devices_remember_of_ids_fills_a_draft_once_a_device() -> None:
    """It is written with each of them, so a few thousand devices may be many megabytes."""
    draft = Draft(BASE)
    rules = Rules(input=InputRules(duplicates="flag"))
    states: dict[str, DeviceState] = {}
    sizes = []
    for _ in range(2):
        outputs_before = draft.counters.output_bytes
        result = published(click("d1", id="a"), click("d1", id="b"), states=states, rules=rules)
        encoded = encode_step(result)
        draft.add_step(1, result, encoded)
        sizes.append(
            draft.counters.output_bytes
            - outputs_before
            - sum(len(v or b"") for _, v, _ in encoded["enriched"])
        )
        states = result.states
    assert sizes == [2 * ENTRY_BYTES, 0]


def test_ids_fill_a_draft_too_where_only_a_timer_or_a_repeated_event_changed_the_device() -> None:
    rules = Rules(input=InputRules(duplicates="flag"))
    states = published(click("d1", id="a"), rules=rules).states
    closed = run_timers(states, 0, ms("23:00:00"), rules)
    draft = Draft(BASE)
    draft.add_timers(closed, publish_identities=True)
    assert draft.counters.output_bytes == ENTRY_BYTES

    draft = Draft(BASE)
    result = published(click("d1", id="a"), states=states, rules=rules)
    encoded = encode_step(result)
    draft.add_step(1, result, encoded)
    assert draft.counters.output_bytes - sum(len(v or b"") for _, v, _ in encoded["enriched"]) == ENTRY_BYTES


def add(draft: Draft, *raw: Record) -> None:
    """One step on what the draft holds."""
    result = step(*raw, states=known(draft.states), watermark_ms=draft.watermark_ms, expiry=draft.expiry)
    draft.add_step(len(raw), result, encode_step(result))


def known(states: Mapping[str, DeviceState | None]) -> dict[str, DeviceState]:
    """The devices that have not expired."""
    return {device_id: state for device_id, state in states.items() if state is not None}


def stored(records: list[StateRecord], device_id: str) -> DeviceState:
    """The device as its records hold it."""
    content = dict(records)
    return decode_state(content[hot_key(device_id)] or b"", content[cold_key(device_id)] or b"")


def test_a_draft_of_few_large_outputs_is_full_too() -> None:
    draft = Draft(BASE)
    assert not is_full(draft, output_bytes=100_000)
    add(draft, record(10, b"\xff" * 100_000))
    assert is_full(draft, output_bytes=100_000)
    assert not is_full(draft, output_bytes=1_000_000)


def is_full(draft: Draft, output_bytes: int) -> bool:
    """Whether it is full at so many bytes, or ten of anything else."""
    return draft.counters.fullness(events=10, output_bytes=output_bytes, timers=10) >= 1
