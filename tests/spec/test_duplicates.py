"""Duplicates: an event whose id its device has sent before, not long before or after by their times."""

import pytest
from msgspec import structs

from tests.builders import MIDNIGHT_MS, RawEvent, Record, click, ms, record
from tests.core_step import DECODER, NO_RECORDS
from worker.adapters.kafka.records import FetchedRecord
from worker.core.device_step import StepResult
from worker.core.duplicates import ENTRY_BYTES
from worker.core.partitioner import Partitioning
from worker.core.pipeline import decode_records, process
from worker.core.repartition import arrived, divide
from worker.model.rules import InputRules, Rules
from worker.model.state import DeviceState, ExpiryClock

FLAG = Rules(input=InputRules(duplicates="flag"))
DROP = Rules(input=InputRules(duplicates="drop"))
DAY_MS = 86_400_000


def run(
    *raw: RawEvent | Record,
    rules: Rules = FLAG,
    states: dict[str, DeviceState] | None = None,
    expiry: ExpiryClock = NO_RECORDS,
) -> StepResult:
    """The core over these events, each a record of its own, or records."""
    records = [r if isinstance(r, Record) else record(offset, r) for offset, r in enumerate(raw)]
    return process(decode_records(records, DECODER), states or {}, 0, expiry, rules)


def flagged(result: StepResult) -> list[bool]:
    """Of each enriched event, whether it is flagged as a duplicate."""
    return ["duplicate" in event.flags for event in result.enriched]


# --- the three choices ---


def test_by_default_a_repeated_event_counts_twice_and_no_id_is_remembered() -> None:
    result = run(click("d1", id="a"), click("d1", id="a"), rules=Rules())
    assert flagged(result) == [False, False]
    assert (result.duplicates_flagged, result.duplicates_dropped) == (0, 0)
    assert result.states["d1"].recent_ids == b""


def test_flag_marks_a_repeated_event_and_processes_it_like_any_other() -> None:
    events = [click("d1", "10:00:00", id="a"), click("d1", "10:01:00", id="a", user="ann")]
    marked, kept = run(*events), run(*events, rules=Rules())
    assert [event.flags for event in marked.enriched] == [
        ("new_device", "session_start"),
        ("linked", "duplicate"),
    ]
    assert marked.duplicates_flagged == 1
    for event in marked.enriched:
        event.flags = tuple(flag for flag in event.flags if flag != "duplicate")
    assert marked.enriched == kept.enriched
    marked.states["d1"].recent_ids = b""
    assert marked.states == kept.states
    assert marked.sessions == kept.sessions
    assert marked.identities == kept.identities


def test_drop_leaves_a_repeated_event_out_as_if_it_had_never_come() -> None:
    first, repeated = click("d1", "10:00:00", id="a"), click("d1", "11:30:00", id="a", user="ann")
    without, dropped = run(first, rules=DROP), run(first, repeated, rules=DROP)
    assert dropped.duplicates_dropped == 1
    assert structs.replace(dropped, duplicates_dropped=0) == without


def test_a_record_of_nothing_but_duplicates_changes_no_device_and_no_clock() -> None:
    states = run(click("d1", id="a"), rules=DROP).states
    result = run(record(7, [click("d1", "23:00:00", id="a")] * 3), rules=DROP, states=states)
    assert result == StepResult(0, NO_RECORDS, duplicates_dropped=3)


def test_refused_elements_beside_duplicates_are_dead_letters_as_ever() -> None:
    result = run(record(7, [click("d1", id="a"), {"id": "a"}, click("d1", id="a"), 17]), rules=DROP)
    assert len(result.enriched) == 1
    assert [letter.index for letter, _, _ in result.dead_letters] == [1, 3]


# --- which events are duplicates ---


def test_a_batch_that_is_sent_again_is_flagged_whole() -> None:
    batch = [click("d1", id="a"), click("d2", id="b"), click("d1", id="c")]
    result = run(record(1, batch), record(2, batch), record(3, [click("d1", id="d")]))
    assert flagged(result) == [False] * 3 + [True] * 3 + [False]


def test_the_same_id_within_a_batch_is_found_too() -> None:
    assert flagged(run(record(1, [click("d1", id="a")] * 3))) == [False, True, True]


def test_the_id_alone_decides_whatever_else_the_event_says() -> None:
    events = [
        click("d1", id="a"),
        click("d1", id="a", type="purchase", data={"price": 2}),
        click("d1", id="A"),
    ]
    assert flagged(run(*events)) == [False, True, False]


def test_the_same_id_of_another_device_is_no_duplicate() -> None:
    assert flagged(run(click("d1", id="a"), click("d2", id="a"))) == [False, False]


def test_ids_of_which_one_begins_or_ends_like_another_are_different() -> None:
    assert not any(flagged(run(*(click("d1", id=id_) for id_ in ("a", "aa", "ba", "ab", "gerät", "gera")))))


def test_a_hash_across_two_entries_is_no_entry() -> None:
    """The bytes of the memory are searched as they are: only what begins where an entry begins is one."""
    (state,) = run(click("d1", id="a")).states.values()
    hashed, time_bytes = state.recent_ids[:8], state.recent_ids[8:]
    for before in range(1, ENTRY_BYTES):
        state.recent_ids = bytes(before) + hashed + time_bytes + bytes(ENTRY_BYTES - before)
        assert flagged(run(click("d1", id="a"), states={"d1": state})) == [False]
        state.recent_ids += hashed + time_bytes
        assert flagged(run(click("d1", id="a"), states={"d1": state})) == [True]


@pytest.mark.parametrize("ms_more", [-1, 1])
@pytest.mark.parametrize(("distance_ms", "found"), [(DAY_MS, True), (DAY_MS + 1, False)])
def test_two_events_of_one_id_may_be_a_window_apart_and_not_a_millisecond_more(
    ms_more: int, distance_ms: int, found: bool
) -> None:
    """Forward and backward."""
    first = click("d1", ms("10:00:00"), id="a")
    second = click("d1", ms("10:00:00") + ms_more * distance_ms, id="a")
    assert flagged(run(first, second)) == [False, found]


def test_times_are_held_before_they_are_compared() -> None:
    """By its clock the second is ten years later; both are of the time when they came."""
    batches = [
        record(1, click("d1", "10:00:00", id="a")),
        record(2, click("d1", MIDNIGHT_MS + 3_650 * DAY_MS, id="a"), received_at="10:01:00"),
    ]
    assert flagged(run(*batches)) == [False, True]


def test_times_a_thousand_years_ahead_are_compared_as_exactly() -> None:
    """Without a record's time nothing holds them."""
    late_ms = 10**14 - 1
    events = [click("d1", at, id="a") for at in (late_ms - 1_001, late_ms - 1, late_ms)]
    rules = Rules(input=InputRules(duplicates="flag", duplicates_ms=1_000))
    assert flagged(
        run(*(record(n, event, received_at=-1) for n, event in enumerate(events)), rules=rules)
    ) == [
        False,
        True,
        False,
    ]


def test_a_duplicate_is_not_remembered_so_that_the_first_event_s_time_decides() -> None:
    """20 hours apart each: the third is 40 hours after the first, and the next first one."""
    events = [click("d1", ms("10:00:00") + hours * 3_600_000, id="a") for hours in (0, 20, 40, 60)]
    assert flagged(run(*events)) == [False, True, False, True]
    assert run(*events, rules=DROP).duplicates_dropped == 2


# --- what is remembered ---


def test_only_so_many_ids_are_remembered_and_the_oldest_arrivals_go_first() -> None:
    rules = Rules(input=InputRules(duplicates="flag", duplicates_remembered=3))
    ids = ["a", "b", "c", "a", "d", "a", "b"]  # d takes the place of a, which then takes that of b
    assert flagged(run(*(click("d1", id=id_) for id_ in ids), rules=rules)) == [
        False,
        False,
        False,
        True,
        False,
        False,
        False,
    ]


def test_ids_from_before_the_window_go_so_that_a_quiet_device_costs_little() -> None:
    first = [click("d1", ms("10:00:00") + n, id=str(n)) for n in range(10)]
    later = click("d1", ms("10:00:00") + DAY_MS + 5, id="later")
    assert len(run(*first, later).states["d1"].recent_ids) == 6 * ENTRY_BYTES


def test_a_late_repetition_of_what_has_left_the_memory_is_no_duplicate() -> None:
    event, later = click("d1", ms("10:00:00"), id="a"), click("d1", ms("10:00:00") + DAY_MS + 1, id="b")
    assert flagged(run(event, later, event)) == [False, False, False]
    assert flagged(run(event, event, later)) == [False, True, False]


def test_a_device_never_remembers_more_than_it_may() -> None:
    rules = Rules(input=InputRules(duplicates="drop", duplicates_remembered=20))
    batch = [click("d1", id=str(n)) for n in range(500)]
    states: dict[str, DeviceState] = {}
    for start in range(0, 500, 50):
        states = run(record(start, batch[start : start + 50]), rules=rules, states=states).states
        assert len(states["d1"].recent_ids) == 20 * ENTRY_BYTES


def test_a_smaller_number_of_ids_holds_at_the_next_event_after_a_restart() -> None:
    states = run(*(click("d1", id=str(n)) for n in range(50))).states
    fewer = Rules(input=InputRules(duplicates="flag", duplicates_remembered=5))
    states = run(click("d1", id="new"), rules=fewer, states=states).states
    assert len(states["d1"].recent_ids) == 5 * ENTRY_BYTES


def test_turned_off_again_the_memory_of_a_device_is_gone_with_its_next_event() -> None:
    remembering = run(click("d1", id="a")).states
    result = run(click("d1", id="a"), rules=Rules(), states=remembering)
    assert result.states["d1"].recent_ids == b""
    assert len(remembering["d1"].recent_ids) == ENTRY_BYTES, "a committed state was changed"


# --- with expiry ---


@pytest.mark.parametrize("rules", [FLAG, DROP])
def test_a_device_that_has_expired_in_between_is_new_and_remembers_nothing(rules: Rules) -> None:
    """By its own next event, and by the clock of its partition."""
    short = structs.replace(rules, retention_ms=DAY_MS // 2)
    first, later = click("d1", ms("10:00:00"), id="a"), click("d1", ms("22:00:00.001"), id="a")
    result = run(first, later, rules=short)
    assert [event.flags for event in result.enriched] == [("new_device", "session_start")] * 2

    states = run(first, rules=rules).states
    passed = ExpiryClock(ms("10:00:00") + 2 * rules.retention_ms, 2 * rules.expiry_records)
    result = run(first, rules=rules, states=states, expiry=passed)
    assert [event.flags for event in result.enriched] == [("new_device", "session_start")]
    assert len(result.states["d1"].recent_ids) == ENTRY_BYTES


def test_within_one_record_too_a_device_expires_at_an_event_and_begins_to_remember_again() -> None:
    short = structs.replace(FLAG, retention_ms=DAY_MS // 2)
    batch = [
        click("d1", at, id=id_)
        for at, id_ in (("01:00:00", "a"), ("13:00:00", "b"), ("25:00:00.001", "a"), ("25:00:00.001", "b"))
    ]
    result = run(record(1, batch, received_at=-1), rules=short)
    assert ["new_device" in event.flags for event in result.enriched] == [True, False, True, False]
    assert not any(flagged(result))
    assert len(result.states["d1"].recent_ids) == 2 * ENTRY_BYTES


def test_an_event_in_between_keeps_the_device_and_its_memory() -> None:
    short = structs.replace(FLAG, retention_ms=DAY_MS // 2)
    batch = [click("d1", at, id=id_) for at, id_ in (("01:00:00", "a"), ("12:00:00", "b"), ("23:00:00", "a"))]
    assert flagged(run(record(1, batch, received_at=-1), rules=short)) == [False, False, True]


# --- wherever the event comes from ---


def test_an_event_that_came_to_two_partitions_is_found_in_that_of_its_device() -> None:
    """Sent again without a key, it reached another one, which sends it on."""
    here = Partitioning(partitions=4).partition_of
    home, other = here("d1"), (here("d1") + 1) % 4
    first, again = record(1, [click("d1", id="a")]), record(2, [click("d1", id="a")], partition=other)
    _, (sent_on,) = divide(decode_records([again], DECODER), frozenset({"d1"}), here, DECODER.elements)
    assert sent_on.partition == home
    there = FetchedRecord("g.repartition", home, 0, ms("20:00:00"), b"d1", sent_on.value, sent_on.headers)
    records = [first, arrived(there)]
    result = process(decode_records(records, DECODER), {}, 0, NO_RECORDS, FLAG)
    assert flagged(result) == [False, True]


def test_cut_into_calls_anywhere_the_memory_goes_on_where_it_was() -> None:
    events = [click("d1", id=id_) for id_ in ("a", "b", "a", "c", "b", "d")]
    states: dict[str, DeviceState] = {}
    found: list[bool] = []
    for offset, event in enumerate(events):
        result = run(record(offset, event), states=states)
        states, found = states | result.states, found + flagged(result)
    assert found == flagged(run(*events)) == [False, False, True, False, True, False]
    assert states["d1"].recent_ids == run(*events).states["d1"].recent_ids
