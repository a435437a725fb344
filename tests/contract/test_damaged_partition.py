"""A partition that nobody can read beside others: they lose nothing, and its source says where."""

import asyncio
import re
from pathlib import Path

import pytest

from testing.kafka.broker import LocalBroker
from tests.contract.cluster import make_topics, write
from tests.contract.raw_topic import Raw, changed, offsets, take
from worker.errors import Fatal

_DAMAGED = 2
_PARTITIONS = 6


def test_what_a_fetch_brought_of_other_partitions_is_not_lost_with_it(
    local_broker: LocalBroker, tmp_path: Path, topic_prefix: str
) -> None:
    raw = Raw(local_broker.bootstrap_servers, topic_prefix)

    async def fill() -> None:
        await make_topics(raw.servers, raw.topic, partitions=_PARTITIONS)
        for partition in range(_PARTITIONS):
            await write(raw.servers, raw.topic, [b"content"] * 3, partition=partition)

    asyncio.run(fill())
    local_broker.stop()
    (segment,) = (tmp_path / "broker" / "data" / f"{raw.topic}-{_DAMAGED}").glob("*.log")
    stored = bytearray(segment.read_bytes())
    stored[-3] ^= 1
    segment.write_bytes(stored)
    local_broker.start()

    async def scenario() -> None:
        async with raw.member() as group:
            assert await changed(group) == set(range(_PARTITIONS))
            sources = {partition: group.source(partition) for partition in range(_PARTITIONS)}
            for source in sources.values():
                source.seek(raw.at(0))
            damaged = sources.pop(_DAMAGED)
            place = re.escape(f"offset 0 of {raw.topic}/{_DAMAGED} cannot be read: its checksum (CRC)")
            with pytest.raises(Fatal, match=place):
                await take(damaged, 1)
            for partition, source in sources.items():
                assert offsets(await take(source, 3)) == [0, 1, 2]
                await write(raw.servers, raw.topic, [b"more"], partition=partition)
                assert offsets(await take(source, 1)) == [3]

    asyncio.run(scenario())
