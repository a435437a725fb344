"""What a Changelog is, on a real broker: the committed records and nothing else, and an end that is reached
whatever the log ends in.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer

from testing.kafka.broker import free_ports
from tests.conftest import Kafka
from tests.contract.cluster import delete_records, make_topics, write_in_transaction
from worker.adapters.kafka.changelog import KafkaChangelog
from worker.errors import Fatal, TransactionLost
from worker.model.state import StateRecord


class Log:
    """One changelog, its writers and its reader."""

    def __init__(self, servers: str, prefix: str) -> None:
        self.servers = servers
        self.topic = prefix + "changelog"
        self._transactional_id = prefix + "writer"

    async def write(self, *values: bytes, abort: bool = False) -> None:
        """Write them in one transaction, and wait for its end."""
        await write_in_transaction(self.servers, self.topic, values, self._transactional_id, abort=abort)

    @asynccontextmanager
    async def reader(
        self, partition: int = 0, fetch_bytes: int = 8 * 1024 * 1024
    ) -> AsyncIterator[KafkaChangelog]:
        changelog = KafkaChangelog(
            client={"bootstrap_servers": self.servers},
            topic=self.topic,
            partition=partition,
            fetch_bytes=fetch_bytes,
        )
        try:
            yield changelog
        finally:
            await changelog.close()


@pytest.fixture
def log(kafka: Kafka, topic_prefix: str) -> Log:
    """An empty changelog."""
    log = Log(kafka.bootstrap_servers, topic_prefix)
    asyncio.run(make_topics(log.servers, log.topic))
    return log


async def read_all(changelog: KafkaChangelog, offset: int = 0) -> tuple[list[StateRecord], int, int]:
    """As a restore does: (records, the last ``records_end``, where the reading ended)."""
    _, end = await changelog.bounds()
    records: list[StateRecord] = []
    records_end = offset
    while offset < end:
        batch = await changelog.read(offset)
        if batch.records:
            records += batch.records
            records_end = batch.records_end
        assert batch.next_offset >= max(offset, batch.records_end if batch.records else 0)
        offset = batch.next_offset
    return records, records_end, offset


def values_of(records: list[StateRecord]) -> list[bytes | None]:
    return [value for _, value in records]


def test_an_empty_changelog_begins_and_ends_at_0(log: Log) -> None:
    async def scenario() -> None:
        async with log.reader() as changelog:
            assert await changelog.bounds() == (0, 0)

    asyncio.run(scenario())


def test_the_end_is_the_last_stable_offset(log: Log) -> None:
    async def scenario() -> None:
        await log.write(b"a", b"b")
        producer = AIOKafkaProducer(bootstrap_servers=log.servers, transactional_id=log.topic + "-open")
        await producer.start()
        try:
            async with producer.transaction(), log.reader() as changelog:
                await producer.send_and_wait(log.topic, b"open", partition=0)
                assert await changelog.bounds() == (0, 3)  # two records and a marker
        finally:
            await producer.stop()

    asyncio.run(scenario())


def test_all_committed_records_are_read_in_order_without_the_aborted_ones(log: Log) -> None:
    async def scenario() -> None:
        await log.write(b"1", b"2")
        await log.write(b"aborted", b"aborted", abort=True)
        await log.write(b"3")
        async with log.reader() as changelog:
            records, records_end, offset = await read_all(changelog)
            assert values_of(records) == [b"1", b"2", b"3"]
            assert (records_end, offset) == (7, 8)

    asyncio.run(scenario())


def test_reading_passes_an_aborted_tail_and_the_records_end_does_not(log: Log) -> None:
    async def scenario() -> None:
        await log.write(b"1", b"2")
        await log.write(b"aborted", abort=True)
        await log.write(b"aborted", abort=True)
        async with log.reader() as changelog:
            records, records_end, offset = await read_all(changelog)
            assert values_of(records) == [b"1", b"2"]
            assert records_end == 2
            assert offset == (await changelog.bounds())[1] == 7

    asyncio.run(scenario())


def test_a_read_that_finds_nothing_but_aborted_records_ends_where_it_was_asked_for(log: Log) -> None:
    async def scenario() -> None:
        await log.write(b"1")
        await log.write(b"aborted", abort=True)
        async with log.reader() as changelog:
            batch = await changelog.read(2)
            assert (batch.records, batch.records_end, batch.next_offset) == ([], 2, 4)

    asyncio.run(scenario())


def test_reading_may_begin_anywhere_and_go_back(log: Log) -> None:
    async def scenario() -> None:
        await log.write(*(b"%d" % number for number in range(10)))
        async with log.reader() as changelog:
            assert values_of((await read_all(changelog, 8))[0]) == [b"8", b"9"]
            assert values_of((await read_all(changelog, 3))[0])[0] == b"3"

    asyncio.run(scenario())


def test_a_long_changelog_is_read_in_pieces(log: Log) -> None:
    values = [b"%d" % number for number in range(12_000)]

    async def scenario() -> None:
        await log.write(*values)
        async with log.reader(fetch_bytes=64 * 1024) as changelog:
            first = await changelog.read(0)
            assert 0 < len(first.records) < len(values)
            assert first.next_offset == first.records_end == len(first.records)
            assert values_of((await read_all(changelog))[0]) == values

    asyncio.run(scenario())


def test_a_tombstone_is_a_record(log: Log) -> None:
    async def scenario() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=log.servers)
        await producer.start()
        await producer.send_and_wait(log.topic, None, key=b"gone", partition=0)
        await producer.stop()
        async with log.reader() as changelog:
            assert (await read_all(changelog))[0] == [(b"gone", None)]

    asyncio.run(scenario())


def test_deleted_records_move_the_beginning_and_reading_them_is_fatal(log: Log) -> None:
    async def scenario() -> None:
        await log.write(*(b"%d" % number for number in range(10)))
        await delete_records(log.servers, log.topic, 4)
        async with log.reader() as changelog:
            assert await changelog.bounds() == (4, 11)
            with pytest.raises(Fatal, match=rf"{log.topic}/0: offset 2 .*compacted"):
                await changelog.read(2)
            assert values_of((await read_all(changelog, 4))[0])[0] == b"4"

    asyncio.run(scenario())


def test_a_partition_that_the_changelog_does_not_have_is_fatal(log: Log) -> None:
    async def scenario() -> None:
        async with log.reader(partition=1) as changelog:
            with pytest.raises(Fatal, match=f"partition 1: .*{log.topic}"):
                await changelog.bounds()

    asyncio.run(scenario())


def test_a_closed_changelog_opens_again_when_it_is_asked(log: Log) -> None:
    async def scenario() -> None:
        await log.write(b"1")
        async with log.reader() as changelog:
            await changelog.close()
            assert await changelog.bounds() == (0, 2)
            await changelog.close()
            await changelog.close()
            assert values_of(list((await changelog.read(0)).records)) == [b"1"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_without_a_broker_it_is_a_loss(topic_prefix: str) -> None:
    async def scenario() -> None:
        (nobody,) = free_ports(1)
        async with Log(f"127.0.0.1:{nobody}", topic_prefix).reader() as changelog:
            with pytest.raises(TransactionLost):
                await changelog.bounds()
            with pytest.raises(TransactionLost):
                await changelog.read(0)

    asyncio.run(scenario())
