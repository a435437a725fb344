"""When a source says that everything has been returned: only then may the wall clock close sessions."""

import asyncio

import pytest

from testing.kafka.broker import LocalBroker
from testing.wait import eventually
from tests.contract.cluster import make_topics, writing_in_transaction
from tests.contract.raw_topic import Raw, becomes, changed, offsets, take


def test_a_source_is_caught_up_when_all_is_returned_and_not_a_record_before(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(2_000)
        async with raw.source() as source:
            source.seek(raw.at(500))
            taken = 0
            while taken < 1_500:
                assert not source.lag().caught_up
                taken += len(await source.next_records(1.0))
            await becomes(source, caught_up=True)
            source.seek(raw.at(1_999))
            assert not source.lag().caught_up, "it goes back to where something is left to read"

    asyncio.run(scenario())


def test_records_that_wait_to_be_taken_end_it(raw: Raw) -> None:
    async def scenario() -> None:
        async with raw.source() as source:
            source.seek(raw.at(0))
            await becomes(source, caught_up=True)
            await raw.write(10)
            await becomes(source, caught_up=False)
            assert offsets(await take(source, 10)) == list(range(10))
            await becomes(source, caught_up=True)

    asyncio.run(scenario())


@pytest.mark.parametrize("abort", [False, True])
def test_what_a_transaction_wrote_is_something_to_read_once_it_is_committed(raw: Raw, abort: bool) -> None:
    async def scenario() -> None:
        await raw.write(1)
        async with raw.source() as source, writing_in_transaction(raw.servers, raw.topic) as producer:
            source.seek(raw.at(0))
            await take(source, 1)
            await producer.send_and_wait(raw.topic, b"of a transaction", partition=0)
            assert not await source.next_records(1.0), "nobody may read it yet"
            await becomes(source, caught_up=True)
            if abort:
                await producer.abort_transaction()
                assert not await source.next_records(1.0)
            else:
                await producer.commit_transaction()
                await becomes(source, caught_up=False)
                assert offsets(await take(source, 1)) == [1]
            await becomes(source, caught_up=True)

    asyncio.run(scenario())


def test_what_a_producer_commits_after_a_transaction_that_it_aborted_is_read(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write_in_transaction(b"aborted", abort=True)
        await raw.write_in_transaction(b"1", b"2")
        async with raw.source() as source:
            source.seek(raw.at(0))
            assert [record.value for record in await take(source, 2)] == [b"1", b"2"]

    asyncio.run(scenario())


def test_a_source_whose_broker_is_silent_is_not_caught_up_until_it_answers_again(
    local_broker: LocalBroker, topic_prefix: str
) -> None:
    async def scenario() -> None:
        raw = Raw(local_broker.bootstrap_servers, topic_prefix, request_timeout_ms=5_000)
        await make_topics(raw.servers, raw.topic)
        await raw.write(3)
        async with raw.member(session_timeout_ms=30_000) as group:
            assert await changed(group) == {0}
            source = group.source(0)
            source.seek(raw.at(0))
            await take(source, 3)
            await becomes(source, caught_up=True)
            local_broker.pause()
            await becomes(source, caught_up=False)

            async def is_unknown() -> bool:
                return source.lag().records is None

            await eventually(is_unknown, what="the lag is not known", timeout_s=30)
            assert source.lag().unknown_because.startswith("no fetch has been answered")
            local_broker.resume()
            await becomes(source, caught_up=True)
            assert source.lag().records == 0

    asyncio.run(scenario())


def test_a_source_whose_partition_was_given_away_is_not_caught_up(raw_of_two: Raw) -> None:
    raw = raw_of_two

    async def scenario() -> None:
        async with raw.member() as first:
            assert await changed(first) == {0, 1}
            sources = {partition: first.source(partition) for partition in (0, 1)}
            for source in sources.values():
                source.seek(raw.at(0))
                await becomes(source, caught_up=True)
            async with raw.member() as second:
                (kept,) = await changed(first)
                assert await changed(second) == {1 - kept}
                assert not sources[1 - kept].lag().caught_up
                await becomes(sources[kept], caught_up=True)

    asyncio.run(scenario())
