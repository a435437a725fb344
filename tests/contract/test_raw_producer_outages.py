"""The raw producer while brokers are away, silent or killed: what it answers is true, then and afterwards."""

import asyncio
import time

from testing.kafka.broker import LocalBroker
from testing.wait import eventually
from tests.contract.cluster import make_topics, visible, visible_records
from tests.contract.raw_sender import (
    Journal,
    becomes_ready,
    becomes_stalled,
    configuration,
    producing,
    record,
    started,
)
from worker.adapters.kafka.raw_producer import KafkaRawProducer
from worker.adapters.system_clock import SystemClock
from worker.config.options import Collect


async def start_again(broker: LocalBroker) -> None:
    """Start it; the event loop goes on meanwhile."""
    broker.launch()
    await asyncio.to_thread(broker.wait_until_ready)


def test_brokers_that_are_away_at_the_start_are_waited_for(local_broker: LocalBroker) -> None:
    servers = local_broker.bootstrap_servers

    async def scenario() -> None:
        await make_topics(servers, "raw")
        local_broker.kill()
        async with started(configuration(servers, "raw")) as producer:
            assert producer.partitions() is None
            assert producer.is_stalled(0)
            assert await producer.send([record(b"too early")]) == ["not_sent"]

            async def is_named() -> bool:
                return f"no broker answers at {servers}" in str(producer.problem())

            await eventually(is_named, what="the missing broker is named")
            await start_again(local_broker)
            await becomes_ready(producer, 0)
            assert producer.partitions() == 1
            assert producer.problem() is None
            assert await producer.send([record(b"in time")]) == ["stored"]
        assert [value for _, value in await visible(servers, "raw")] == [b"in time"]

    asyncio.run(scenario())


def test_a_silent_broker_stalls_its_partitions_until_it_answers(local_broker: LocalBroker) -> None:
    """Only what a broker may have is in doubt: what waits behind it, on other partitions too, is not."""
    servers = local_broker.bootstrap_servers
    behind = [record(b"behind %d" % number, number % 2) for number in range(50)]

    async def scenario() -> None:
        await make_topics(servers, "raw", partitions=2)
        async with producing(configuration(servers, "raw"), partitions=2) as producer:
            assert await producer.send([record(b"before", 0), record(b"before", 1)]) == ["stored"] * 2
            local_broker.pause()
            try:
                in_doubt = asyncio.ensure_future(producer.send([record(b"in doubt")]))
                await asyncio.sleep(0.1)  # the broker may have it; what comes now waits for its answer
                waiting = [asyncio.ensure_future(producer.send([each])) for each in behind]
                await becomes_stalled(producer, 0, 1)
                assert await producer.send([record(b"refused", 1)]) == ["not_sent"]
                assert [await task for task in waiting] == [["not_sent"]] * len(behind)
                assert not in_doubt.done()
                assert "acknowledgements take longer than collect.stall_ms" in str(producer.problem())
                assert await in_doubt == ["unknown"]
                assert producer.is_stalled(0)
            finally:
                local_broker.resume()
            await becomes_ready(producer, 0, 1)
            assert await producer.send([record(b"after", 0), record(b"after", 1)]) == ["stored"] * 2
            assert producer.problem() is None
        assert [value for _, value in await visible(servers, "raw")] == [b"before", b"in doubt", b"after"]
        found = [each.value for each in await visible_records(servers, "raw", 1)]
        assert found == [b"before", b"after"]

    asyncio.run(scenario())


def test_a_broker_that_goes_away_is_noticed_without_a_request(local_broker: LocalBroker) -> None:
    servers = local_broker.bootstrap_servers

    async def scenario() -> None:
        await make_topics(servers, "raw")
        async with producing(configuration(servers, "raw"), partitions=1) as producer:
            local_broker.kill()
            await becomes_stalled(producer, 0)
            assert f"no broker answers at {servers}" in str(producer.problem())
            assert producer.partitions() == 1
            assert await producer.send([record(b"refused")]) == ["not_sent"]
            await start_again(local_broker)
            await becomes_ready(producer, 0)
            assert producer.problem() is None
            assert await producer.send([record(b"after")]) == ["stored"]

    asyncio.run(scenario())


def test_what_was_answered_while_a_broker_was_killed_or_silent_is_true(local_broker: LocalBroker) -> None:
    servers = local_broker.bootstrap_servers
    journal = Journal()

    async def scenario() -> None:
        await make_topics(servers, "raw", partitions=3)
        async with producing(configuration(servers, "raw"), partitions=3) as producer:
            for kills in (True, False, True):
                async with journal.load(producer, 3):
                    await journal.become("stored", 500)
                    if kills:
                        local_broker.kill()
                    else:
                        local_broker.pause()
                    await becomes_stalled(producer, 0, 1, 2)
                    await journal.become("not_sent", 500)
                    if kills:
                        await start_again(local_broker)
                    else:
                        local_broker.resume()
                    await becomes_ready(producer, 0, 1, 2)
                    await journal.become("stored", 100)
            await becomes_ready(producer, 0, 1, 2)
            assert producer.problem() is None
        await journal.check(servers, "raw", 3)

    asyncio.run(scenario())


def test_close_waits_for_acknowledgements(local_broker: LocalBroker) -> None:
    servers = local_broker.bootstrap_servers

    async def scenario() -> None:
        await make_topics(servers, "raw")
        slow = Collect(linger_ms=1_000)
        async with producing(configuration(servers, "raw", slow), partitions=1) as producer:
            waiting = [asyncio.ensure_future(producer.send([record(b"%d" % n)])) for n in range(20)]
            await asyncio.sleep(0)
            await producer.close(30)
            assert [await task for task in waiting] == [["stored"]] * 20
            assert await producer.send([record(b"closed")]) == ["not_sent"]
            assert producer.is_stalled(0)
        assert len(await visible(servers, "raw")) == 20

    asyncio.run(scenario())


def test_close_answers_what_a_silent_broker_does_not(local_broker: LocalBroker) -> None:
    servers = local_broker.bootstrap_servers
    patient = Collect(stall_ms=60_000, ack_timeout_ms=120_000)

    async def scenario() -> None:
        await make_topics(servers, "raw")
        async with producing(configuration(servers, "raw", patient), partitions=1) as producer:
            assert await producer.send([record(b"before")]) == ["stored"]
            local_broker.pause()
            try:
                in_doubt = asyncio.ensure_future(producer.send([record(b"in doubt")]))
                await asyncio.sleep(0.1)
                behind = asyncio.ensure_future(producer.send([record(b"behind")]))
                await asyncio.sleep(0.1)
                began = time.monotonic()
                await producer.close(0.5)
                assert time.monotonic() - began < 15
                assert await in_doubt == ["unknown"]
                assert await behind == ["not_sent"]
            finally:
                local_broker.resume()
        found = {value for _, value in await visible(servers, "raw")}
        assert found <= {b"before", b"in doubt"}

    asyncio.run(scenario())


def test_one_that_was_never_started_or_never_connected_is_closed(local_broker: LocalBroker) -> None:
    local_broker.kill()
    config = configuration(local_broker.bootstrap_servers, "raw")

    async def scenario() -> None:
        async with asyncio.timeout(20):
            await KafkaRawProducer(config, SystemClock()).close(5)
            async with started(config) as producer:
                await producer.close(5)
            async with started(config) as producer:

                async def is_named() -> bool:
                    return producer.problem() is not None

                await eventually(is_named, what="the first try has failed")

    asyncio.run(scenario())
