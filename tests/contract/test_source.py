"""What a Source is, as the consumer group gives it on a real broker.

Each record comes once and in order from where the task said, whatever the group does meanwhile.
"""

import asyncio

import pytest

from testing.wait import eventually
from tests.conftest import Kafka
from tests.contract.cluster import delete_records, ends, make_topics, visible, write, writing_in_transaction
from tests.contract.raw_topic import (
    HEARTBEAT_S,
    Raw,
    becomes,
    becomes_known,
    changed,
    goes_on_at,
    offsets,
    take,
)
from tests.native_parts import READERS, Reader
from worker.errors import TransactionLost
from worker.model.state import GroupOffset

# --- where it begins ---


@pytest.fixture(params=READERS)
def records(request: pytest.FixtureRequest) -> Reader:
    """Both ways to read what is fetched."""
    return READERS[request.param]


def test_nothing_is_returned_before_the_first_seek(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(3)
        async with raw.source() as source:
            assert not await source.next_records(0.3)
            source.seek(raw.at(0))
            assert offsets(await take(source, 3)) == [0, 1, 2]

    asyncio.run(scenario())


def test_records_come_once_and_in_order(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(3_000)
        async with raw.source() as source:
            source.seek(raw.at(0))
            taken = await take(source, 3_000)
            await raw.write(10)
            taken += await take(source, 10)
            assert offsets(taken) == list(range(3_010))
            assert [record.value for record in taken] == [b"%d" % number for number in range(3_010)]

    asyncio.run(scenario())


def test_a_seek_drops_what_was_fetched_and_goes_anywhere(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(2_000)
        async with raw.source() as source:
            for target in (1_500, 0, 700, 700, 1_999, 3):
                source.seek(raw.at(target))
                taken = await take(source, 1)
                assert offsets(taken) == list(range(target, target + len(taken)))

    asyncio.run(scenario())


def test_a_first_life_begins_at_the_first_record_or_at_the_end(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(10)
        await delete_records(raw.servers, raw.topic, 4)
        async with raw.source() as source:
            assert await source.first_offsets() == raw.at(4)
        async with raw.source(start_from="latest") as source:
            assert await source.first_offsets() == raw.at(10)

    asyncio.run(scenario())


def test_the_committed_offset_is_reported_or_left_out(raw: Raw) -> None:
    async def scenario() -> None:
        async with raw.source() as source:
            assert await source.committed_offsets() == {}
        await raw.commit(7)
        async with raw.source() as source:
            assert await source.committed_offsets() == {raw.topic: GroupOffset(7, "")}

    asyncio.run(scenario())


def test_an_offset_that_a_transaction_committed_has_its_author(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.commit_as("incarnation-1", 7)

        async def is_reported() -> bool:  # markers are written after the answer
            async with raw.source() as source:
                return await source.committed_offsets() == {raw.topic: GroupOffset(7, "incarnation-1")}

        await eventually(is_reported, what="the offset with its author", timeout_s=10)

    asyncio.run(scenario())


# --- how it waits ---


def test_a_wait_ends_when_it_is_woken(raw: Raw) -> None:
    async def scenario() -> None:
        async with raw.source() as source:
            source.seek(raw.at(0))
            waiting = asyncio.ensure_future(source.next_records(60.0))
            await asyncio.sleep(0)
            source.wake()
            async with asyncio.timeout(1):
                assert not await waiting

    asyncio.run(scenario())


def test_lag_counts_what_is_not_yet_returned_and_is_0_when_caught_up(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(2_000)
        async with raw.source() as source:
            source.seek(raw.at(500))
            first = await take(source, 1)
            await becomes_known(source, lag=1_500 - len(first))
            await take(source, 1_500 - len(first))
            assert source.lag().records == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("tail", ["committed", "aborted"])
def test_lag_is_0_also_where_the_topic_ends_in_markers_and_aborted_records(raw: Raw, tail: str) -> None:
    async def scenario() -> None:
        await raw.write_in_transaction(b"1", b"2")
        await raw.write_in_transaction(b"3", abort=tail == "aborted")
        expected = [0, 1] if tail == "aborted" else [0, 1, 3]
        async with raw.source() as source:
            source.seek(raw.at(0))
            assert offsets(await take(source, len(expected))) == expected

            async def is_caught_up() -> bool:
                assert not await source.next_records(0.0)
                return source.lag().records == 0

            await eventually(is_caught_up, what="the lag is 0", timeout_s=5)

    asyncio.run(scenario())


# --- input that is gone ---


def test_input_deleted_below_the_position_is_reported_with_its_place_until_it_is_sought_elsewhere(
    raw: Raw,
) -> None:
    async def scenario() -> None:
        await raw.write(10)
        await delete_records(raw.servers, raw.topic, 5)
        async with raw.source() as source:
            assert await source.log_bounds() == {raw.topic: (5, 10)}
            source.seek(raw.at(2))
            with pytest.raises(TransactionLost, match=f"offset 2 of {raw.topic}/0 is not in the log"):
                await take(source, 1)
            with pytest.raises(TransactionLost):
                await source.next_records(0.0)
            source.seek(raw.at(5))
            assert offsets(await take(source, 5)) == [5, 6, 7, 8, 9]

    asyncio.run(scenario())


def test_a_position_beyond_the_end_is_reported_too(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(3)
        async with raw.source() as source:
            source.seek(raw.at(100))
            with pytest.raises(TransactionLost, match="offset 100"):
                await take(source, 1)

    asyncio.run(scenario())


# --- offsets that hold no record ---


@pytest.mark.parametrize("tail", ["committed", "aborted"])
def test_it_goes_on_past_markers_and_aborted_records_also_when_they_are_deleted(raw: Raw, tail: str) -> None:
    async def scenario() -> None:
        await raw.write_in_transaction(b"1", b"2")
        await raw.write_in_transaction(b"3", b"4", abort=tail == "aborted")
        expected = [0, 1] if tail == "aborted" else [0, 1, 3, 4]
        async with raw.source() as source:
            source.seek(raw.at(0))
            assert offsets(await take(source, len(expected))) == expected
            await goes_on_at(source, raw.at(6))
            await delete_records(raw.servers, raw.topic, 6)
            assert await source.log_bounds() == {raw.topic: (6, 6)}
        async with raw.source() as source:
            source.seek(raw.at(6))
            await raw.write(1)
            assert offsets(await take(source, 1)) == [6]

    asyncio.run(scenario())


def test_it_does_not_go_on_past_a_record_that_waits_or_past_an_open_transaction(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(3)
        async with raw.source() as source, writing_in_transaction(raw.servers, raw.topic) as producer:
            source.seek(raw.at(1))
            await producer.send_and_wait(raw.topic, b"undecided", partition=0)
            await becomes_known(source, lag=2)

            async def is_known() -> bool:  # the fetch that reported the lag may have been asked before
                return source.lag().in_open_transactions == 1

            await eventually(is_known, what="a record in an open transaction", timeout_s=20)
            assert source.next_offsets() == raw.at(1)
            assert offsets(await take(source, 2)) == [1, 2]
            await becomes(source, caught_up=True)
            assert source.next_offsets() == raw.at(3)
            await producer.abort_transaction()
            await goes_on_at(source, raw.at(5))

    asyncio.run(scenario())


def test_it_goes_on_past_what_compaction_took_from_the_end_of_a_batch(
    kafka: Kafka, topic_prefix: str
) -> None:
    async def scenario() -> None:
        raw = Raw(kafka.bootstrap_servers, topic_prefix)
        compacted = {
            "cleanup.policy": "compact",
            "segment.ms": "100",
            "min.cleanable.dirty.ratio": "0.01",
            "max.compaction.lag.ms": "100",
        }
        await make_topics(raw.servers, raw.topic, configs=compacted)
        key = b"one key"
        for _ in range(3):
            await write(raw.servers, raw.topic, [b"older", b"old"], key=key)
            await asyncio.sleep(0.2)  # or the segment is not old enough to be closed by the next batch

        async def is_compacted() -> bool:
            await write(raw.servers, raw.topic, [b"rolls the segment"], key=b"another")
            return len(await visible(raw.servers, raw.topic)) < 6

        await eventually(is_compacted, what="older values are gone", timeout_s=60)
        _, end = await ends(raw.servers, raw.topic)
        async with raw.source() as source:
            source.seek(raw.at(0))
            await goes_on_at(source, raw.at(end))

    asyncio.run(scenario())


def test_what_is_behind_it_after_a_rebalance_is_no_loss(raw: Raw) -> None:
    """The client begins at the committed offset, which retention may have passed meanwhile."""

    async def scenario() -> None:
        await raw.write(10)
        await raw.commit(2)
        async with raw.member() as first:
            assert await changed(first) == {0}
            source = first.source(0)
            source.seek(raw.at(0))
            await take(source, 10)
            await delete_records(raw.servers, raw.topic, 10)
            for _ in range(3):
                async with raw.member():
                    await asyncio.sleep(2 * HEARTBEAT_S)
            await raw.write(1)
            assert offsets(await take(source, 1)) == [10]

    asyncio.run(scenario())
