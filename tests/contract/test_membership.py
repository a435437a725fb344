"""What a member of the consumer group may rely on: it stays while it has nothing to do, and hears of every
trouble that no waiting will end.
"""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from testing.kafka.broker import free_ports
from tests.contract.raw_topic import HEARTBEAT_S, Raw, changed, offsets, take
from worker.adapters.kafka.consumer import ConsumerGroup
from worker.errors import Fatal


async def rest(heartbeats: int) -> None:
    """Let a member have nothing to do for that long."""
    await asyncio.sleep(heartbeats * HEARTBEAT_S)


def test_a_member_without_partitions_stays_and_takes_over(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(3)
        async with raw.member() as first:
            assert await changed(first) == {0}
            async with raw.member() as second:
                first_has, second_has = await asyncio.gather(first.changed(), second.changed())
                assert first_has ^ second_has == {0}
                works, stands_by = (first, second) if first_has else (second, first)
                await rest(heartbeats=10)
                await works.close()
                assert await changed(stands_by) == {0}
                source = stands_by.source(0)
                source.seek(raw.at(0))
                assert offsets(await take(source, 3)) == [0, 1, 2]

    asyncio.run(scenario())


def test_a_member_whose_task_restores_for_long_keeps_its_partition(raw: Raw) -> None:
    async def scenario() -> None:
        await raw.write(3)
        async with raw.member() as group:
            assert await changed(group) == {0}
            source = group.source(0)
            await rest(heartbeats=10)
            assert await source.still_assigned()
            source.seek(raw.at(0))
            assert offsets(await take(source, 3)) == [0, 1, 2]

    asyncio.run(scenario())


async def reason_to_end(group: ConsumerGroup) -> str:
    """Fetch until that is given up; why."""
    await group.start()
    try:
        async with asyncio.timeout(20):
            with pytest.raises(Fatal) as fatal:
                await group.pump()
            return str(fatal.value)
    finally:
        await group.close()


def test_a_session_timeout_that_the_brokers_refuse_ends_it_by_its_name(raw: Raw) -> None:
    reason = asyncio.run(reason_to_end(raw.new_member(session_timeout_ms=500)))
    assert raw.group_id in reason
    assert "kafka.session_timeout_ms" in reason


def test_a_group_that_another_kind_of_consumer_is_in_ends_it_with_the_remedy(raw: Raw) -> None:
    async def scenario() -> str:
        stranger = AIOKafkaConsumer(
            raw.topic,
            bootstrap_servers=raw.servers,
            group_id=raw.group_id,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        )
        await stranger.start()
        try:
            return await reason_to_end(raw.new_member())
        finally:
            await stranger.stop()

    assert "kafka.group_id" in asyncio.run(scenario())


def test_two_members_of_one_static_id_do_not_displace_each_other_for_ever(raw: Raw) -> None:
    async def scenario() -> str:
        first, second = raw.new_member("same"), raw.new_member("same")
        ends = [asyncio.ensure_future(reason_to_end(member)) for member in (first, second)]
        done, running = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in running:
            end.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return done.pop().result()

    assert 'kafka.group_instance_id "same"' in asyncio.run(scenario())


# --- coming and going ---


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
