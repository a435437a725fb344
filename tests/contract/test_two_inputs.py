"""What a Source is where events are repartitioned and a task has two inputs: the raw topic and the
repartition topic.

The rest of what a source promises is in test_source.py.
"""

import asyncio

import pytest

from testing.wait import eventually
from tests.conftest import Kafka
from tests.contract.cluster import make_topics, reader, write, writing_in_transaction
from tests.contract.raw_topic import Raw, becomes, changed, take
from worker.adapters.kafka.source import StartFrom
from worker.model.events import InputRecord
from worker.model.state import GroupOffset

NOON_MS = 1_772_452_800_000


@pytest.fixture
def raw(kafka: Kafka, topic_prefix: str) -> Raw:
    """Both topics, empty, of one partition."""
    raw = Raw(kafka.bootstrap_servers, topic_prefix, repartitioned=True)
    asyncio.run(make_topics(raw.servers, *raw.topics))
    return raw


@pytest.fixture
def raw_of_two(kafka: Kafka, topic_prefix: str) -> Raw:
    """Both topics, empty, of two partitions."""
    raw = Raw(kafka.bootstrap_servers, topic_prefix, repartitioned=True)
    asyncio.run(make_topics(raw.servers, *raw.topics, partitions=2))
    return raw


def both(raw: Raw, offset: int, repartition_offset: int) -> dict[str, int]:
    """Where to seek."""
    return {raw.topic: offset, raw.repartition_topic: repartition_offset}


def of(topic: str, records: list[InputRecord]) -> list[int]:
    """The offsets of one input's records."""
    return [record.offset for record in records if record.topic == topic]


def test_each_inputs_records_come_once_and_in_order_from_where_it_was_sought(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write_at(raw.topic, *range(NOON_MS, NOON_MS + 500))
        await raw.write_at(raw.repartition_topic, *range(NOON_MS + 100, NOON_MS + 400))
        async with raw.source() as source:
            source.seek(both(raw, 200, 10))
            taken = await take(source, 300 + 290)
            assert of(raw.topic, taken) == list(range(200, 500))
            assert of(raw.repartition_topic, taken) == list(range(10, 300))

    asyncio.run(scenario())


def test_what_was_received_first_comes_first_to_about_a_second_whatever_input_has_it(raw: Raw) -> None:
    async def scenario() -> None:
        hours = [NOON_MS + hour * 3_600_000 for hour in range(40)]
        await raw.write_at(raw.topic, *hours[::2])
        await raw.write_at(raw.repartition_topic, *hours[1::2])
        async with raw.source() as source:
            source.seek(both(raw, 0, 0))
            taken = await take(source, 40)
            assert [int(record.value or b"") for record in taken] == hours

    asyncio.run(scenario())


def test_it_is_caught_up_when_all_of_both_is_returned_and_lag_counts_both(raw: Raw) -> None:
    async def scenario() -> None:
        async with raw.source() as source:
            source.seek(both(raw, 0, 0))
            await becomes(source, caught_up=True)
            for topic in raw.topics:
                await raw.write_at(topic, NOON_MS, NOON_MS + 1)
                await becomes(source, caught_up=False)
                assert source.lag().records == 2
                assert of(topic, await take(source, 2)) == [0, 1]
                await becomes(source, caught_up=True)
                assert source.lag().records == 0
            for topic in raw.topics:
                await raw.write_at(topic, NOON_MS, NOON_MS + 1)

            async def counts_both() -> bool:
                return source.lag().records == 4

            await eventually(counts_both, what="the lag is that of both")

    asyncio.run(scenario())


@pytest.mark.parametrize(("start_from", "first"), [("earliest", 0), ("latest", 3)])
def test_a_first_life_that_begins_at_the_end_of_the_raw_topic_reads_all_of_the_repartition_topic(
    raw: Raw, start_from: StartFrom, first: int
) -> None:
    async def scenario() -> None:
        await raw.write_at(raw.topic, NOON_MS, NOON_MS, NOON_MS)
        await raw.write_at(raw.repartition_topic, NOON_MS, NOON_MS)
        async with raw.source(start_from=start_from) as source:
            assert await source.first_offsets() == both(raw, first, 0)

    asyncio.run(scenario())


def test_an_input_without_a_committed_offset_is_left_out(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.commit(7)
        async with raw.source() as source:
            assert await source.committed_offsets() == {raw.topic: GroupOffset(7, "")}

    asyncio.run(scenario())


def test_the_committed_offsets_of_both_are_reported(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.commit(7)
        async with reader(raw.servers, raw.repartition_topic, raw.group_id) as (consumer, partition):
            await consumer.commit({partition: 3})
        async with raw.source() as source:
            assert await source.committed_offsets() == {
                raw.topic: GroupOffset(7, ""),
                raw.repartition_topic: GroupOffset(3, ""),
            }

    asyncio.run(scenario())


def test_an_open_transaction_in_one_input_does_not_hold_up_the_other(raw: Raw) -> None:
    async def scenario() -> None:
        async with (
            raw.source() as source,
            writing_in_transaction(raw.servers, raw.repartition_topic) as producer,
        ):
            source.seek(both(raw, 0, 0))
            await producer.send_and_wait(raw.repartition_topic, b"%d" % NOON_MS, partition=0)
            await raw.write_at(raw.topic, NOON_MS + 60_000)
            assert of(raw.topic, await take(source, 1)) == [0]
            assert not await source.next_records(0.5), "nobody may read the other yet"
            await producer.commit_transaction()
            assert of(raw.repartition_topic, await take(source, 1)) == [0]

    asyncio.run(scenario())


def test_a_kept_source_goes_on_in_both_inputs_over_a_rebalance(raw_of_two: Raw) -> None:
    raw = raw_of_two

    async def scenario() -> None:
        for topic in raw.topics:
            await raw.write_at(topic, *range(NOON_MS, NOON_MS + 50))
        async with raw.member() as first:
            assert await changed(first) == {0, 1}
            sources = {partition: first.source(partition) for partition in (0, 1)}
            for source in sources.values():
                source.seek(both(raw, 0, 0))
            await take(sources[0], 100)
            async with raw.member() as second:
                (kept,) = await changed(first)
                await changed(second)
            assert await changed(first) == {0, 1}
            before = 50 if kept == 0 else 0
            for topic in raw.topics:
                await write(raw.servers, topic, [b"new"] * 20, partition=kept)
            taken = await take(sources[kept], 40)
            for topic in raw.topics:
                assert of(topic, taken) == list(range(before, before + 20))

    asyncio.run(scenario())
