"""The figures of a worker: what is counted, and over what."""

from collections import Counter

from tests.builders import click, record
from tests.core_step import DECODER, NO_RECORDS
from tests.record_times import RECORD_TIMES_MS
from worker.core.encode import encode_step
from worker.core.pipeline import decode_records, process
from worker.engine.draft import Draft
from worker.model.events import OLDEST_TIMESTAMP_MS
from worker.model.rules import InputRules, Rules
from worker.model.state import Meta
from worker.task.status import TaskStatistics, Totals, percentile

META = Meta(schema=1, incarnation="b2f1", raw_topic="raw", next_offsets={"raw": 10}, watermark_ms=5)


def counted() -> TaskStatistics:
    """Something of everything."""
    statistics = TaskStatistics()
    for name, value in vars(statistics).items():
        if isinstance(value, Counter):
            value["malformed_json"] = 2
        elif isinstance(value, list):
            value.append(1.5)
        else:
            setattr(statistics, name, "raw/0/7" if value is None else 3)
    return statistics


def test_the_figures_of_several_partitions_are_those_of_all_of_them() -> None:
    both = counted()
    both.merge(counted())
    assert {name: value for name, value in vars(both).items() if value == getattr(counted(), name)} == {
        "last_dead_letter": "raw/0/7"
    }
    assert (both.events, both.dead_letters, both.delay_ms) == (6, {"malformed_json": 4}, [1.5, 1.5])


def test_an_event_that_was_refused_or_dropped_is_not_enriched() -> None:
    statistics = TaskStatistics()
    rules = Rules(input=InputRules(duplicates="drop"))
    records = [record(10, [click("d1", id="a"), {"id": "bad"}, click("d1", id="a")]), record(11, click("d2"))]
    result = process(decode_records(records, DECODER), {}, 0, NO_RECORDS, rules)
    draft = Draft(META)
    draft.add_step(2, result, encode_step(result))
    statistics.add(draft.counters, 0.0, None)
    assert (statistics.events, statistics.enriched) == (4, 2)


def test_totals_grow_from_interval_to_interval() -> None:
    totals = Totals()
    for _ in range(2):
        totals.add(counted())
    assert totals == Totals(
        events=6,
        records=6,
        transactions=6,
        transactions_lost=6,
        dead_letters=4,
        duplicates_flagged=6,
        duplicates_dropped=6,
    )


def test_a_share_of_the_values_is_not_above_the_percentile() -> None:
    assert percentile([], 0.5) is None
    assert percentile([4.0, 1.0, 3.04, 2.0], 0.5) == 3.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0


def test_a_delay_begins_at_the_earliest_record_with_a_timestamp() -> None:
    draft = Draft(META)
    assert draft.counters.received_ms is None
    draft.note_received([-1])
    assert draft.counters.received_ms is None
    draft.note_received([1_780_000_000_500, -1, 1_780_000_000_300])
    draft.note_received([1_780_000_000_400])
    assert draft.counters.received_ms == 1_780_000_000_300


def test_a_record_time_that_cannot_be_one_in_milliseconds_is_no_beginning_of_a_delay() -> None:
    draft = Draft(META)
    draft.note_received(RECORD_TIMES_MS)
    assert draft.counters.received_ms == OLDEST_TIMESTAMP_MS
    for timestamp_ms in (-(2**63), 0, 1_780_000_000, 10**14, 2**63 - 1):
        fresh = Draft(META)
        fresh.note_received([timestamp_ms])
        assert fresh.counters.received_ms is None
