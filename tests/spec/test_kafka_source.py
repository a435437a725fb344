"""How what was fetched waits for its task: in which pieces it is given, what is counted meanwhile, and when
the task is woken. What a broker makes of it is for the contract of a source to say.
"""

import asyncio
from typing import cast

import pytest

from tests.scripted_source import RAW, REPARTITION, ScriptedFetcher, ScriptedSource, fetched, run
from worker.adapters.kafka.offsets import Offsets
from worker.adapters.kafka.source import InputTopics, KafkaSource
from worker.errors import Fatal
from worker.model.records import ListedRecords

# --- in which pieces ---


def test_a_fetch_is_given_whole_where_nothing_else_waits() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(1_000, 90_000)
        f.bring_raw(91_000)
        assert await f.next() == [(RAW, 0), (RAW, 1)]
        assert await f.next() == [(RAW, 2)]

    run(scenario)


def test_two_inputs_are_given_in_turns_by_when_records_were_first_received() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(1_000, 1_500, 20_000, 20_100)
        f.bring_repartitioned(10_000, 10_500, 30_000)
        f.bring_raw(40_000)
        f.bring_repartitioned(50_000)
        assert await f.next() == [(RAW, 0), (RAW, 1)]
        assert await f.next() == [(REPARTITION, 0), (REPARTITION, 1)]
        assert await f.next() == [(RAW, 2), (RAW, 3)]
        assert await f.next() == [(REPARTITION, 2)]
        assert await f.next() == [(RAW, 4)]
        assert await f.next() == [(REPARTITION, 3)]

    run(scenario)


def test_a_seek_drops_what_waited_and_goes_on_at_its_offsets() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(1_000, 90_000)
        f.bring_repartitioned(50_000)
        assert await f.next() == [(RAW, 0)]
        f.source.seek({RAW: 70, REPARTITION: 80})
        assert f.fetcher.sought[-2:] == [(RAW, 70), (REPARTITION, 80)]
        assert f.source.lag().records == 0
        f.bring_raw(60_000, 60_001)
        f.bring_repartitioned(70_000)
        assert await f.next() == [(RAW, 70), (RAW, 71)]
        assert await f.next() == [(REPARTITION, 80)]

    run(scenario)


def test_a_producers_word_of_an_earlier_time_is_not_believed_of_the_raw_topic() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.raw.deliver(ListedRecords([fetched(RAW, 0, 90_000, [("origin-timestamp", b"1000")])]), 10)
        f.bring_repartitioned(50_000)
        assert await f.next() == [(REPARTITION, 0)]

    run(scenario)


# --- how it waits ---


def test_a_wait_ends_with_what_a_fetch_brings_and_not_before() -> None:
    async def scenario(f: ScriptedSource) -> None:
        asyncio.get_running_loop().call_later(0.3, f.bring_raw, 1_000)
        assert await f.next() == [(RAW, 0)]

    run(scenario)


def test_a_wait_for_which_there_is_no_time_ends_at_once_with_nothing() -> None:
    async def scenario(f: ScriptedSource) -> None:
        assert not await f.source.next_records(0.0)

    run(scenario)


def test_records_wait_a_moment_for_older_ones_that_the_other_input_is_known_to_have() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(10_000)
        f.fetcher.to_fetch[REPARTITION] = 1
        asyncio.get_running_loop().call_later(0.01, f.bring_repartitioned, 1_000)
        assert await f.next() == [(REPARTITION, 0)]

    run(scenario)


def test_records_do_not_wait_for_others_for_ever() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(10_000)
        f.fetcher.to_fetch[REPARTITION] = 1
        assert await f.next() == [(RAW, 0)]

    run(scenario)


def test_records_do_not_wait_longer_than_the_task_has_time() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(10_000)
        f.fetcher.to_fetch[REPARTITION] = 1
        asyncio.get_running_loop().call_later(0.1, f.bring_repartitioned, 1_000)
        assert [r.topic for r in await f.source.next_records(0.0)] == [RAW]

    run(scenario)


def test_records_wait_for_nothing_of_their_own_input_that_is_still_to_come() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(10_000)
        f.fetcher.to_fetch[RAW] = 5
        asyncio.get_running_loop().call_soon(f.bring_repartitioned, 1_000)
        assert await f.next() == [(RAW, 0)]

    run(scenario)


def test_an_input_that_is_gone_is_reported_at_once_and_before_anything_that_waits() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.repartition.fail(Fatal("gone"))
        with pytest.raises(Fatal, match="gone"):
            await f.next()
        f.bring_raw(1_000)
        with pytest.raises(Fatal, match="gone"):
            await f.next()

    run(scenario)


def test_a_wait_ends_when_an_input_is_gone() -> None:
    async def scenario(f: ScriptedSource) -> None:
        asyncio.get_running_loop().call_soon(f.raw.fail, Fatal("gone"))
        with pytest.raises(Fatal, match="gone"):
            await f.next()

    run(scenario)


# --- room ---


def test_nothing_is_fetched_for_an_input_before_its_first_seek() -> None:
    source = KafkaSource(ScriptedFetcher(), cast("Offsets", None), 3, InputTopics([RAW], "earliest"))
    assert not source.inputs[0].has_room(100)


def test_an_input_has_room_while_less_than_its_share_waits() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(1_000, 90_000, bytes_each=50)
        assert f.raw.has_room(101)
        assert not f.raw.has_room(100)
        f.bring_raw(91_000, bytes_each=50)
        assert f.raw.has_room(151)
        assert not f.raw.has_room(150)

    run(scenario)


def test_an_input_in_which_nothing_waits_has_room_whatever_its_share() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(1_000)
        assert not f.raw.has_room(0)
        await f.next()
        assert f.raw.has_room(0)

    run(scenario)


def test_room_is_made_by_each_piece_that_is_taken() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(1_000, 90_000, 90_001, bytes_each=50)
        f.bring_repartitioned(50_000)
        assert await f.next() == [(RAW, 0)]
        assert f.fetcher.times_asked == 1
        assert f.raw.has_room(101)
        assert not f.raw.has_room(100)
        f.bring_raw(91_000, bytes_each=50)
        await f.next()
        await f.next()
        assert f.raw.has_room(51)
        assert not f.raw.has_room(50)

    run(scenario)


def test_a_seek_makes_all_the_room_there_is() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(1_000, bytes_each=100)
        f.source.seek({RAW: 0, REPARTITION: 0})
        f.bring_raw(1_000, bytes_each=50)
        assert f.raw.has_room(51)

    run(scenario)


def test_nothing_more_is_fetched_for_a_source_of_which_an_input_is_gone() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.repartition.fail(Fatal("gone"))
        assert not f.raw.has_room(100)

    run(scenario)


def test_the_group_is_asked_for_more_before_the_task_waits() -> None:
    async def scenario(f: ScriptedSource) -> None:
        await f.source.next_records(0.0)
        assert f.fetcher.times_asked == 1

    run(scenario)


# --- how far behind ---


def test_lag_is_what_waits_and_what_is_still_to_be_fetched_of_both() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.bring_raw(1_000, 1_001, 90_000)
        f.bring_repartitioned(50_000)
        f.fetcher.to_fetch |= {RAW: 100, REPARTITION: 1_000}
        assert f.source.lag().records == 1_104
        await f.next()
        assert f.source.lag().records == 1_102

    run(scenario)


def test_it_is_caught_up_where_nothing_waits_and_every_input_is_at_its_end() -> None:
    async def scenario(f: ScriptedSource) -> None:
        assert f.source.lag().caught_up
        f.fetcher.silent = {REPARTITION}
        assert not f.source.lag().caught_up
        f.fetcher.silent = set()
        f.bring_raw(1_000)
        assert not f.source.lag().caught_up
        await f.next()
        assert f.source.lag().caught_up

    run(scenario)


def test_a_source_that_was_never_positioned_is_not_caught_up() -> None:
    source = KafkaSource(
        ScriptedFetcher(), cast("Offsets", None), 3, InputTopics([RAW, REPARTITION], "earliest")
    )
    assert not source.lag().caught_up
    assert source.lag().records is None
    assert source.lag().unknown_because == "not positioned yet"


def test_lag_is_not_known_where_nothing_was_fetched_of_an_input_and_nothing_of_it_waits() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.fetcher.silent = {REPARTITION}
        assert f.source.lag().records is None
        assert f.source.lag().unknown_because == "no fetch has been answered"
        f.bring_raw(1_000)
        assert f.source.lag().records is None
        f.bring_repartitioned(1_000)
        assert f.source.lag().records == 2
        f.fetcher.silent = set()
        await f.next()
        await f.next()
        assert f.source.lag().records == 0
        assert f.source.lag().unknown_because == ""

    run(scenario)


def test_what_is_in_open_transactions_is_counted_apart() -> None:
    async def scenario(f: ScriptedSource) -> None:
        f.fetcher.in_transactions = {RAW: 5, REPARTITION: 2}
        assert f.source.lag().in_open_transactions == 7
        assert f.source.lag().records == 0

    run(scenario)


def test_an_input_goes_on_behind_the_last_record_that_came() -> None:
    source = KafkaSource(ScriptedFetcher(), cast("Offsets", None), 3, InputTopics([RAW], "earliest"))
    source.seek({RAW: 4})
    source.inputs[0].deliver(ListedRecords([fetched(RAW, offset, 1_000) for offset in (4, 5, 9)]), 30)
    assert source.inputs[0].position == 10
