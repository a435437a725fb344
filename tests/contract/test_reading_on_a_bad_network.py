"""What source and changelog do when connections break and brokers go away: they go on where they were."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from testing.kafka.proxy import Api, NetworkFault, Proxy
from testing.wait import eventually
from tests.contract.bad_network import BadNetwork
from tests.contract.cluster import make_topics
from tests.contract.raw_topic import Raw, changed, offsets, take
from worker.adapters.kafka.changelog import KafkaChangelog
from worker.adapters.kafka.source import KafkaSource

RECORDS = 2_000
REQUEST_TIMEOUT_MS = 1_000


@asynccontextmanager
async def reading(network: BadNetwork) -> AsyncIterator[tuple[Proxy, Raw, KafkaSource, list[int]]]:
    """A source in the middle of its records, and the offsets that it has returned so far."""
    async with network.proxy() as proxy:
        raw = Raw(proxy.bootstrap_servers, network.prefix, REQUEST_TIMEOUT_MS)
        await make_topics(raw.servers, raw.topic)
        await raw.write(RECORDS)
        async with raw.source() as source:
            source.seek(raw.at(0))
            yield proxy, raw, source, offsets(await take(source, 1))


async def reads_on(raw: Raw, source: KafkaSource, taken: list[int]) -> None:
    """Everything comes, what is written now as well, once and in order."""
    await raw.write(10)
    taken += offsets(await take(source, RECORDS + 10 - len(taken)))
    assert taken == list(range(RECORDS + 10))


def test_a_source_goes_on_after_its_connections_were_cut(network: BadNetwork) -> None:
    async def scenario() -> None:
        async with reading(network) as (proxy, raw, source, taken):
            proxy.cut()
            await reads_on(raw, source, taken)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "kind", [NetworkFault.REQUEST_LOST, NetworkFault.ANSWER_LOST, NetworkFault.ANSWER_EATEN], ids=str
)
def test_a_source_asks_again_for_a_fetch_that_was_lost(network: BadNetwork, kind: NetworkFault) -> None:
    async def scenario() -> None:
        async with reading(network) as (proxy, raw, source, taken):
            taken += offsets(await take(source, RECORDS - len(taken)))
            lost = proxy.next(Api.FETCH, kind)
            await reads_on(raw, source, taken)
            assert lost.happened.is_set()

    asyncio.run(scenario())


def test_a_source_waits_for_a_broker_that_is_away_and_then_goes_on(network: BadNetwork) -> None:
    async def scenario() -> None:
        async with reading(network) as (proxy, raw, source, taken):
            taken += offsets(await take(source, RECORDS - len(taken)))
            await proxy.leave()
            for _ in range(3):
                assert not await source.next_records(0.3)
            await proxy.come_back()
            await reads_on(raw, source, taken)
            assert await source.still_assigned()

    asyncio.run(scenario())


def test_a_member_that_was_thrown_out_over_a_silence_comes_back_and_its_source_with_it(
    network: BadNetwork,
) -> None:
    async def scenario() -> None:
        async with network.proxy() as proxy:
            raw = Raw(proxy.bootstrap_servers, network.prefix, REQUEST_TIMEOUT_MS)
            await make_topics(raw.servers, raw.topic)
            await raw.write(RECORDS)
            async with raw.member(session_timeout_ms=1_500) as group:
                assert await changed(group) == {0}
                source = group.source(0)
                source.seek(raw.at(0))
                taken = offsets(await take(source, RECORDS))
                proxy.fall_silent()
                for _ in range(6):
                    assert not await source.next_records(0.5)
                proxy.speak_again()
                await reads_on(raw, source, taken)
                assert await source.still_assigned()

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["cut", "away"])
def test_a_changelog_is_read_on_where_it_was(network: BadNetwork, how: str) -> None:
    async def scenario() -> None:
        async with network.proxy() as proxy:
            raw = Raw(proxy.bootstrap_servers, network.prefix)
            await make_topics(raw.servers, raw.topic)
            await raw.write(RECORDS)
            changelog = KafkaChangelog(
                client={"bootstrap_servers": raw.servers, "request_timeout_ms": REQUEST_TIMEOUT_MS},
                topic=raw.topic,
                partition=0,
                fetch_bytes=4_096,
            )
            try:
                read = list((await changelog.read(0)).records)
                if how == "cut":
                    proxy.cut()
                else:
                    await proxy.leave()
                    await proxy.come_back()

                async def read_all() -> bool:
                    read.extend((await changelog.read(len(read))).records)
                    return len(read) == RECORDS

                await eventually(read_all, what="all has been read")
            finally:
                await changelog.close()
            assert [value for _, value in read] == [b"%d" % number for number in range(RECORDS)]

    asyncio.run(scenario())
