"""The raw producer while brokers are away, silent or killed: what it answers is true, then and afterwards."""

import asyncio
from collections.abc import Awaitable, Callable

from testing.kafka.broker import LocalBroker
from testing.wait import eventually
from tests.contract.cluster import make_topics, visible, visible_records
from tests.contract.raw_sender import (
    becomes_ready,
    becomes_stalled,
    configuration,
    producing,
    record,
    started,
)


def test_a_broker_that_is_away_at_the_start_is_waited_for(local_broker: LocalBroker) -> None:
    servers = local_broker.bootstrap_servers

    async def scenario() -> None:
        await make_topics(servers, "raw")
        local_broker.kill()
        async with started(configuration(servers, "raw")) as producer:
            assert producer.partitions() is None
            assert producer.is_stalled(0)
            assert await producer.send([record(b"too early")]) == ["not_sent"]
            local_broker.start()
            await becomes_ready(producer, 0)
            assert producer.partitions() == 1
            assert await producer.send([record(b"in time")]) == ["stored"]
        assert [value for _, value in await visible(servers, "raw")] == [b"in time"]

    asyncio.run(scenario())


def test_a_silent_broker_stalls_the_partition_until_it_answers(local_broker: LocalBroker) -> None:
    servers = local_broker.bootstrap_servers
    first, later = record(b"in doubt"), [record(b"later %d" % number) for number in range(50)]

    async def scenario() -> None:
        await make_topics(servers, "raw")
        async with producing(configuration(servers, "raw"), partitions=1) as producer:
            assert await producer.send([record(b"before")]) == ["stored"]
            local_broker.pause()
            try:
                in_doubt = asyncio.ensure_future(producer.send([first]))
                await asyncio.sleep(0.05)  # it is with the broker; what comes now waits behind it
                waiting = [asyncio.ensure_future(producer.send([each])) for each in later]
                await becomes_stalled(producer, 0)
                assert await producer.send([record(b"refused")]) == ["not_sent"]
                assert "acknowledgements take longer" in str(producer.problem())
                answers = [answer for task in waiting for answer in await task]
                assert answers == ["not_sent"] * len(later)
                assert await in_doubt == ["unknown"]
                assert producer.is_stalled(0)
            finally:
                local_broker.resume()
            await becomes_ready(producer, 0)
            assert await producer.send([record(b"after")]) == ["stored"]
            assert producer.problem() is None
        found = [value for _, value in await visible(servers, "raw")]
        assert found == [b"before", b"in doubt", b"after"]

    asyncio.run(scenario())


def test_what_was_answered_while_a_broker_was_killed_and_came_back_is_true(local_broker: LocalBroker) -> None:
    servers = local_broker.bootstrap_servers
    answered: dict[bytes, str] = {}

    async def scenario() -> None:
        await make_topics(servers, "raw", partitions=3)
        async with producing(configuration(servers, "raw"), partitions=3) as producer:
            stop = asyncio.Event()

            async def send(sender: int) -> None:
                number = 0
                while not stop.is_set():
                    number += 1
                    records = [record(b"%d %d %d" % (sender, number, n), (sender + n) % 3) for n in range(3)]
                    deliveries = await producer.send(records)
                    for each, delivery in zip(records, deliveries, strict=True):
                        answered[each.value] = delivery
                    await asyncio.sleep(0.002)

            senders = [asyncio.ensure_future(send(number)) for number in range(20)]
            for _ in range(2):
                await eventually(more_than(answered, 500), what="500 more records are answered")
                local_broker.kill()
                await becomes_stalled(producer, 0, 1, 2)
                assert producer.problem() is not None
                local_broker.launch()
                await asyncio.to_thread(local_broker.wait_until_ready)
                await becomes_ready(producer, 0, 1, 2)
            stop.set()
            await asyncio.gather(*senders)
            assert await producer.send([record(b"last %d" % n, n) for n in range(3)]) == ["stored"] * 3
            assert producer.problem() is None
        await account(servers, "raw", 3, answered)

    asyncio.run(scenario())


def more_than(answered: dict[bytes, str], count: int) -> Callable[[], Awaitable[bool]]:
    """A condition: so many more are answered than now."""
    before = len(answered)

    async def are_answered() -> bool:
        return len(answered) >= before + count

    return are_answered


async def account(servers: str, topic: str, partitions: int, answered: dict[bytes, str]) -> None:
    """What was answered ``stored`` is there once; what was answered ``not_sent`` is not there."""
    found: list[bytes] = []
    for partition in range(partitions):
        found += [each.value for each in await visible_records(servers, topic, partition)]
    assert len(found) == len(set(found)), "stored twice"
    stored = {value for value, delivery in answered.items() if delivery == "stored"}
    not_sent = {value for value, delivery in answered.items() if delivery == "not_sent"}
    assert not stored - set(found), "answered stored, and lost"
    assert not not_sent & set(found), "answered not_sent, and stored"
