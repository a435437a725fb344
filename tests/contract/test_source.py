"""What a Source is, as the consumer group hands it out on a real broker: each record once and in order from
where the task said, whatever the group does meanwhile.
"""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from tests.conftest import Kafka
from tests.contract.cluster import delete_records, make_topics, writing_in_transaction
from tests.contract.raw_topic import Raw, becomes, changed, offsets, take
from tests.kafka.broker import LocalBroker, free_ports
from tests.waiting import eventually
from worker.adapters.kafka_source import KafkaSource
from worker.errors import Fatal


@pytest.fixture
def raw(kafka: Kafka, topic_prefix: str) -> Raw:
    """An empty raw topic of one partition."""
    raw = Raw(kafka.bootstrap_servers, topic_prefix)
    asyncio.run(make_topics(raw.servers, raw.topic))
    return raw


@pytest.fixture
def raw_of_two(kafka: Kafka, topic_prefix: str) -> Raw:
    """The same with two partitions."""
    raw = Raw(kafka.bootstrap_servers, topic_prefix)
    asyncio.run(make_topics(raw.servers, raw.topic, partitions=2))
    return raw


# --- where it begins ---


def test_nothing_is_returned_before_the_first_seek(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(3)
        async with raw.source() as source:
            assert await source.next_records(0.3) == ()
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


def test_a_seek_forgets_what_was_fetched_and_goes_anywhere(raw: Raw) -> None:
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


def test_the_committed_offset_is_told_or_left_out(raw: Raw) -> None:
    async def scenario() -> None:
        async with raw.source() as source:
            assert await source.committed_offsets() == {}
        await raw.commit(7)
        async with raw.source() as source:
            assert await source.committed_offsets() == raw.at(7)

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
                assert await waiting == ()

    asyncio.run(scenario())


def test_lag_counts_what_is_not_yet_returned_and_is_0_when_caught_up(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(2_000)
        async with raw.source() as source:
            source.seek(raw.at(500))
            first = await take(source, 1)
            assert source.lag() == 1_500 - len(first)
            await take(source, 1_500 - len(first))
            assert source.lag() == 0

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
                assert await source.next_records(0.0) == ()
                return source.lag() == 0

            await eventually(is_caught_up, what="the lag is 0", timeout_s=5)

    asyncio.run(scenario())


# --- whether everything has been returned ---


def test_a_source_is_caught_up_when_all_is_returned_and_not_a_record_before(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(2_000)
        async with raw.source() as source:
            source.seek(raw.at(500))
            taken = 0
            while taken < 1_500:
                assert not source.caught_up()
                taken += len(await source.next_records(1.0))
            await becomes(source, caught_up=True)
            source.seek(raw.at(1_999))
            assert not source.caught_up(), "it goes back to where something is left to read"

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
            assert await source.next_records(1.0) == (), "nobody may read it yet"
            await becomes(source, caught_up=True)
            if abort:
                await producer.abort_transaction()
                assert await source.next_records(1.0) == ()
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
            assert source.lag() == 0, "as far as it was last told"
            local_broker.resume()
            await becomes(source, caught_up=True)

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
                assert not sources[1 - kept].caught_up()
                await becomes(sources[kept], caught_up=True)

    asyncio.run(scenario())


# --- input that is gone ---


def test_input_deleted_below_the_position_is_fatal_with_its_place_and_the_remedy(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(10)
        await delete_records(raw.servers, raw.topic, 5)
        async with raw.source() as source:
            source.seek(raw.at(2))
            with pytest.raises(Fatal) as fatal:
                await take(source, 1)
            message = str(fatal.value)
            assert "partition 0" in message
            assert "offset 2" in message
            assert raw.topic in message
            assert "kafka.group_id" in message
            with pytest.raises(Fatal):
                await source.next_records(0.0)

    asyncio.run(scenario())


def test_a_position_beyond_the_end_is_fatal_too(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(3)
        async with raw.source() as source:
            source.seek(raw.at(100))
            with pytest.raises(Fatal, match="offset 100"):
                await take(source, 1)

    asyncio.run(scenario())


# --- rebalances ---


@pytest.mark.parametrize("committed", ["nothing", "an old offset", "a deleted offset"])
def test_a_kept_source_goes_on_over_a_rebalance_exactly_where_it_was(raw_of_two: Raw, committed: str) -> None:
    raw = raw_of_two

    async def scenario() -> None:
        await raw.write(50)
        if committed != "nothing":
            await raw.commit(3)
        if committed == "a deleted offset":
            await delete_records(raw.servers, raw.topic, 10)
        async with raw.member() as first:
            assert await changed(first) == {0, 1}
            sources = {partition: first.source(partition) for partition in (0, 1)}
            sources[0].seek(raw.at(10))
            sources[1].seek(raw.at(0))
            await take(sources[0], 40)
            async with raw.member() as second:
                (kept,) = await changed(first)
                (given,) = await changed(second)
                assert {kept, given} == {0, 1}
                assert await sources[kept].still_assigned()
                assert not await sources[given].still_assigned()
                before = 50 if kept == 0 else 0
                await raw.write(20, partition=kept)
                assert offsets(await take(sources[kept], 20)) == list(range(before, before + 20))
            assert await changed(first) == {0, 1}
            await raw.write(20, partition=kept)
            assert offsets(await take(sources[kept], 20)) == list(range(before + 20, before + 40))
            assert await sources[kept].next_records(0.2) == ()
            # What was given away and came back is another task's: its old source returns nothing more.
            assert await sources[given].next_records(0.0) == ()

    asyncio.run(scenario())


def test_records_on_their_way_while_the_group_rebalances_come_once(raw_of_two: Raw) -> None:
    raw = raw_of_two

    async def scenario() -> None:
        await raw.write(100)
        await raw.commit(3)
        async with raw.member() as first:
            assert await changed(first) == {0, 1}
            sources = {partition: first.source(partition) for partition in (0, 1)}
            taken: dict[int, list[int]] = {0: [], 1: []}
            for source in sources.values():
                source.seek(raw.at(0))
            busy = [asyncio.ensure_future(keep_writing(raw))]
            busy += [asyncio.ensure_future(keep_reading(sources[number], taken[number])) for number in (0, 1)]
            for _ in range(3):
                async with raw.member() as second:
                    (kept,) = await changed(first)
                    assert await changed(second) == {1 - kept}
                assert await changed(first) == {0, 1}
            so_far = len(taken[kept])

            async def goes_on() -> bool:
                return len(taken[kept]) > so_far + 100

            await eventually(goes_on, what="the kept partition is read on")
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)
        for offsets_taken in taken.values():
            assert offsets_taken == list(range(len(offsets_taken)))

    asyncio.run(scenario())


async def keep_writing(raw: Raw) -> None:
    """Write a little into both partitions all the time, until cancelled."""
    producer = AIOKafkaProducer(bootstrap_servers=raw.servers)
    await producer.start()
    try:
        while True:
            sent = [await producer.send(raw.topic, bytes(100), partition=number % 2) for number in range(20)]
            await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def keep_reading(source: KafkaSource, taken: list[int]) -> None:
    """Read until cancelled."""
    while True:
        taken += offsets(list(await source.next_records(1.0)))


# --- members ---


def test_a_restarted_static_member_gets_its_partitions_back_and_nobody_notices(raw_of_two: Raw) -> None:
    raw = raw_of_two

    async def scenario() -> None:
        async with raw.member("stays") as stays:
            assert await changed(stays) == {0, 1}
            async with raw.member("restarts") as before:
                own = await changed(before)
                others = await changed(stays)
            assert own | others == {0, 1}
            async with raw.member("restarts") as after:
                assert await changed(after) == own
                assert await after.source(min(own)).still_assigned()  # two heartbeats have passed
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await stays.changed()

    asyncio.run(scenario())


def test_a_dynamic_member_that_leaves_frees_its_partitions_at_once(raw_of_two: Raw) -> None:
    raw = raw_of_two

    async def scenario() -> None:
        async with raw.member() as stays:
            assert await changed(stays) == {0, 1}
            async with raw.member() as leaves:
                await changed(leaves)
                assert len(await changed(stays)) == 1
            async with asyncio.timeout(3):  # half of its session
                assert await changed(stays) == {0, 1}

    asyncio.run(scenario())


def test_a_member_that_reaches_no_broker_is_fatal_and_says_where_it_looked(topic_prefix: str) -> None:
    async def scenario() -> None:
        (nobody,) = free_ports(1)
        with pytest.raises(Fatal, match=f"127.0.0.1:{nobody}"):
            async with Raw(f"127.0.0.1:{nobody}", topic_prefix).member():
                pass

    asyncio.run(scenario())


def test_a_closed_member_leaves_nothing_running(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(3)
        async with raw.source() as source:
            source.seek(raw.at(0))
            await take(source, 3)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
