"""The checker of the promises finds what it is there to find: one wrong record among thousands."""

import asyncio

from aiokafka import AIOKafkaProducer

from tests.chaos.any_key import check_any_key, shuffled_traffic
from tests.chaos.deployment import Deployment
from tests.chaos.topics import read_all
from worker.core.state_codec import hot_key
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000


def test_a_repeated_event_a_wrong_state_and_a_repeated_dead_letter_are_found(deployment: Deployment) -> None:
    config = deployment.config
    servers = config.kafka.bootstrap_servers

    async def add(topic: str, key: bytes, value: bytes) -> None:
        """Write behind the worker's back."""
        producer = AIOKafkaProducer(bootstrap_servers=servers)
        await producer.start()
        try:
            await producer.send_and_wait(topic, value, key, partition=0)
        finally:
            await producer.stop()

    async def found(promise: str) -> bool:
        verdict = await check_any_key(config, [deployment.directory / "only"])
        return any(line.startswith(promise) for line in verdict.broken)

    async def scenario() -> None:
        await deployment.create_topics(2)
        worker = deployment.worker("only")
        worker.start()
        await deployment.feed(shuffled_traffic(make_traffic(3_000, seed=31, now_ms=NOW_MS).records, seed=31))
        await deployment.caught_up()
        assert (await check_any_key(config)).broken == []
        assert await worker.stop() == 0
        verdict = await check_any_key(config, [deployment.directory / "only"])
        assert verdict.broken == []
        assert verdict.events == 3_000

        enriched = (await read_all(servers, config.topics.enriched, 0))[0]
        changelog = (await read_all(servers, config.changelog_topic, 0))[0]
        device = enriched[0].key.decode()
        states = [record for record in changelog if record.key == hot_key(device)]
        others = [record for record in changelog if record.key[:1] == b"h" and record.key != hot_key(device)]
        await add(config.changelog_topic, states[-1].key, others[-1].value)
        assert await found("P2 partition 0")
        await add(config.changelog_topic, states[-1].key, states[-1].value)
        assert not await found("P1")
        await add(config.topics.enriched, enriched[-1].key, enriched[-1].value)
        assert await found("P4 partition 0")
        assert await found("P4")
        letters = (await read_all(servers, config.topics.dead_letters, 0))[0]
        await add(config.topics.dead_letters, letters[-1].key, letters[-1].value)
        assert await found("P1 dead_letters, partition 0")

    asyncio.run(scenario())
