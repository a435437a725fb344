"""Whatever the keys of the records are: a device's events belong together, and each is there once."""

import asyncio
import random

from aiokafka import AIOKafkaProducer
from msgspec import json

from testing.wait import eventually
from tests.builders import click
from tests.chaos.any_key import shuffled_traffic, verdict_once_all_is_read
from tests.chaos.deployment import Deployment, feeding
from tests.chaos.promises import check_promises
from tests.chaos.topics import read_all
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000


def test_random_keys_and_mixed_batches_under_kills_give_each_device_its_sessions(
    deployment: Deployment,
) -> None:
    events, partitions, kills = 30_000, 16, 10

    async def scenario() -> None:
        rng = random.Random(11)
        await deployment.create_topics(partitions)
        records = shuffled_traffic(make_traffic(events, seed=11, now_ms=NOW_MS).records, seed=11)
        workers = [deployment.worker(f"worker-{number}") for number in range(2)]
        for worker in workers:
            worker.start()
        async with feeding(deployment, records, over_s=kills * 1.5):
            for _ in range(kills):
                await asyncio.sleep(rng.expovariate(1 / 1.5))
                victim = rng.choice(workers)
                victim.kill()
                victim.start()
        verdict = await verdict_once_all_is_read(deployment)
        assert verdict.broken == []
        assert verdict.events == events

    asyncio.run(scenario())


def test_without_repartitioning_events_stay_where_they_came_and_what_was_sent_on_before_is_still_read(
    deployment: Deployment,
) -> None:
    async def scenario() -> None:
        servers, topics = deployment.config.kafka.bootstrap_servers, deployment.config.topics
        await deployment.create_topics(2)
        records = shuffled_traffic(make_traffic(3_000, seed=12, now_ms=NOW_MS).records, seed=12)
        worker = deployment.worker("only", {"INPUT_REPARTITION": "never"})
        worker.start()
        await deployment.feed(records)
        await deployment.caught_up()
        verdict = await check_promises(deployment.config)
        assert verdict.broken == []
        assert verdict.events == 3_000

        producer = AIOKafkaProducer(bootstrap_servers=servers)
        await producer.start()
        left = json.encode([click("device-of-nobody", id="left over")])
        await producer.send_and_wait(deployment.config.repartition_topic, left, partition=1)
        await producer.stop()

        async def is_enriched() -> bool:
            found = (await read_all(servers, topics.enriched))[1]
            return any(json.decode(record.value)["id"] == "left over" for record in found)

        await eventually(is_enriched, what="the event that waited in the repartition topic is enriched")

    asyncio.run(scenario())
