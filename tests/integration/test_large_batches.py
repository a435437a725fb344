"""Batches that are small when packed and large when unpacked.

The worker's memory stays within what ``docs/operations.md`` grants it, and every record has its outcome.
"""

import asyncio
import hashlib
import json
import random
from collections.abc import Iterable
from pathlib import Path

from aiokafka import AIOKafkaProducer

from testing.wait import eventually
from testing.worker_process import WorkerProcess
from tests.chaos.deployment import Deployment
from tests.chaos.topics import committed_offsets, read_all

MEMORY_MB = 64
GRANTED_MB = MEMORY_MB + 256
"""For a container, by docs/operations.md, section Memory and disk."""


async def append(
    deployment: Deployment, partition: int, values: Iterable[bytes], codec: str = "zstd"
) -> None:
    """One batch of these values."""
    producer = AIOKafkaProducer(
        bootstrap_servers=deployment.direct.kafka.bootstrap_servers,
        compression_type=codec,
        max_batch_size=2**31 - 1,
        max_request_size=2**31 - 1,
        request_timeout_ms=120_000,
    )
    await producer.start()
    try:
        batch = producer.create_batch()
        for value in values:
            assert batch.append(key=None, value=value, timestamp=None) is not None
        await (await producer.send_batch(batch, deployment.config.topics.raw, partition=partition))
    finally:
        await producer.stop()


def events(count: int, data_bytes: int, seed: int) -> list[bytes]:
    """So many values of one event each, of which ``data_bytes`` pack well."""
    numbers = random.Random(seed)
    return [
        json.dumps(
            [
                {
                    "id": f"{seed}-{number}",
                    "type": "pageview",
                    "device_id": f"device-{seed}",
                    "timestamp": 1_760_000_000_000 + number,
                    "data": {"a": numbers.randbytes(150).hex(), "b": "x" * data_bytes},
                }
            ]
        ).encode()
        for number in range(count)
    ]


async def peak_mb(deployment: Deployment, worker: WorkerProcess, records: int) -> float:
    """The most memory that the worker has used by the time that so many raw records are committed."""
    worker.start()
    raw, servers = deployment.config.topics.raw, deployment.direct.kafka.bootstrap_servers

    async def all_are_committed() -> bool:
        assert worker.running, worker.raw_log()[-3000:]
        known = await committed_offsets(servers, deployment.config.kafka.group_id)
        return sum(offset for partition, offset in known.items() if partition.topic == raw) == records

    await eventually(all_are_committed, what="all is committed", timeout_s=180)
    peak = peak_of(worker.pid)
    print(f"{peak:.0f} MB at most")  # noqa: T201 - with -s
    return peak


def peak_of(pid: int) -> float:
    """The most resident memory of a process since its start, MiB, as Linux knows it."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def worker_of(deployment: Deployment) -> WorkerProcess:
    return deployment.worker("worker", {"STATE_MEMORY_MB": str(MEMORY_MB)})


def test_many_partitions_of_batches_that_unpack_to_14_mb_each(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(partitions=32)
        for partition in range(32):
            await append(deployment, partition, events(600, 23_000, partition))
        assert await peak_mb(deployment, worker_of(deployment), 32 * 600) < GRANTED_MB

    asyncio.run(scenario())


def test_a_batch_of_40_values_of_8_mb(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(partitions=1)
        await append(deployment, 0, [b"a" * 8_000_000] * 40)
        assert await peak_mb(deployment, worker_of(deployment), 40) < GRANTED_MB
        letters = await read_all(
            deployment.direct.kafka.bootstrap_servers, deployment.config.topics.dead_letters
        )
        assert len(letters[0]) == 40

    asyncio.run(scenario())


def test_a_value_that_nobody_can_hold_is_refused_with_its_beginning_and_its_hash(
    deployment: Deployment,
) -> None:
    bomb = b"[" + b" " * (512 * 1024 * 1024)

    async def scenario() -> None:
        await deployment.create_topics(partitions=1)
        for codec in ("zstd", "gzip"):
            await append(deployment, 0, [*events(1, 10, 1), bomb, *events(1, 10, 2)], codec)
        assert await peak_mb(deployment, worker_of(deployment), 6) < GRANTED_MB
        servers, topics = deployment.direct.kafka.bootstrap_servers, deployment.config.topics
        assert len((await read_all(servers, topics.enriched))[0]) == 4
        letters = [json.loads(letter.value) for letter in (await read_all(servers, topics.dead_letters))[0]]
        assert [letter["reason"] for letter in letters] == ["too_large"] * 2
        found = hashlib.sha256(bomb).hexdigest()
        assert all(found in letter["detail"] and str(len(bomb)) in letter["detail"] for letter in letters)

    asyncio.run(scenario())
