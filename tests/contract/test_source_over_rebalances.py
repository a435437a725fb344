"""A source over a rebalance: a kept one goes on exactly where it was, whatever the client believes."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from testing.wait import eventually
from tests.contract.cluster import delete_records
from tests.contract.raw_topic import Raw, changed, offsets, take
from worker.adapters.kafka.source import KafkaSource


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
            assert not await sources[kept].next_records(0.2)
            # What was given away and came back is another task's: its old source returns nothing more.
            assert not await sources[given].next_records(0.0)

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
