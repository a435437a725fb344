"""The raw producer on a broker that answers: what is stored, in which order, and what is refused for good."""

import asyncio
import random
from itertools import count

from testing.wait import eventually
from tests.conftest import Kafka
from tests.contract.cluster import make_topics, visible, visible_records
from tests.contract.raw_sender import NOW_MS, becomes_ready, configuration, producing, record, values
from tests.contract.raw_topic import Raw
from worker.ports import RawRecord


def test_a_record_is_stored_with_its_bytes_headers_time_and_partition(raw_of_two: Raw) -> None:
    records = [
        RawRecord(
            1, b"device", b'[{"id": 1}]', NOW_MS, [("collect-request", b"r1"), ("collect-key", b"web")]
        ),
        RawRecord(0, None, b"", NOW_MS + 1, []),
        RawRecord(1, "schlüssel".encode(), b"\x00\xff", 0, [("twice", b"1"), ("twice", b"")]),
    ]

    async def scenario() -> None:
        async with producing(configuration(raw_of_two.servers, raw_of_two.topic), partitions=2) as producer:
            assert producer.partitions() == 2
            assert producer.problem() is None
            assert await producer.send(records) == ["stored"] * 3
        found = [
            RawRecord(each.partition, each.key, each.value, each.timestamp, list(each.headers))
            for partition in (0, 1)
            for each in await visible_records(raw_of_two.servers, raw_of_two.topic, partition)
        ]
        assert found == [records[1], records[0], records[2]]

    asyncio.run(scenario())


def test_nothing_is_sent_where_there_is_nothing_to_send(raw: Raw) -> None:
    async def scenario() -> None:
        async with producing(configuration(raw.servers, raw.topic), partitions=1) as producer:
            assert await producer.send([]) == []

    asyncio.run(scenario())


def test_a_partition_that_is_not_there_refuses_the_whole_request(raw: Raw) -> None:
    async def scenario() -> None:
        async with producing(configuration(raw.servers, raw.topic), partitions=1) as producer:
            assert producer.is_stalled(1)
            assert await producer.send([record(b"a"), record(b"b", 1)]) == ["not_sent"] * 2
            assert await producer.send([record(b"c")]) == ["stored"]
        assert [value for _, value in await visible(raw.servers, raw.topic)] == [b"c"]

    asyncio.run(scenario())


def test_twenty_thousand_records_of_two_hundred_senders_are_each_stored_once_in_order(
    raw_of_two: Raw,
) -> None:
    senders, each = 200, 100

    async def scenario() -> None:
        async with producing(configuration(raw_of_two.servers, raw_of_two.topic), partitions=2) as producer:

            async def send(sender: int) -> None:
                for number in range(each):
                    answer = await producer.send([record(b"%d %d" % (sender, number), sender % 2)])
                    assert answer == ["stored"]

            await asyncio.gather(*(send(sender) for sender in range(senders)))
        expected = [count() for _ in range(senders)]
        for partition in (0, 1):
            for found in await visible_records(raw_of_two.servers, raw_of_two.topic, partition):
                sender, number = map(int, found.value.split())
                assert sender % 2 == partition
                assert number == next(expected[sender])
        assert [next(numbers) for numbers in expected] == [each] * senders

    asyncio.run(scenario())


def test_records_of_a_request_keep_their_order(raw: Raw) -> None:
    records = [record(b"%d" % number + bytes(30_000)) for number in range(100)]

    async def scenario() -> None:
        async with producing(configuration(raw.servers, raw.topic), partitions=1) as producer:
            assert set(await producer.send(records)) == {"stored"}
        assert [value for _, value in await visible(raw.servers, raw.topic)] == [
            each.value for each in records
        ]

    asyncio.run(scenario())


def test_a_caller_that_goes_away_changes_nothing(raw: Raw) -> None:
    async def scenario() -> None:
        async with producing(configuration(raw.servers, raw.topic), partitions=1) as producer:
            gone = asyncio.ensure_future(producer.send([record(b"of the one who leaves")]))
            stays = asyncio.ensure_future(producer.send([record(b"of the one who stays")]))
            await asyncio.sleep(0)
            gone.cancel()
            assert await stays == ["stored"]
        found = [value for _, value in await visible(raw.servers, raw.topic)]
        assert found == [b"of the one who leaves", b"of the one who stays"]

    asyncio.run(scenario())


def test_a_record_that_is_too_large_is_rejected_and_its_partition_goes_on(
    kafka: Kafka, topic_prefix: str
) -> None:
    topic = topic_prefix + "raw"

    async def scenario() -> None:
        await make_topics(kafka.bootstrap_servers, topic, configs={"max.message.bytes": "5000"})
        async with producing(configuration(kafka.bootstrap_servers, topic), partitions=1) as producer:
            assert await producer.send([record(b"before")]) == ["stored"]
            assert await producer.send([record(random.randbytes(6_000))]) == ["rejected"]
            await becomes_ready(producer, 0)
            assert await producer.send([record(b"after")]) == ["stored"]
            assert producer.problem() is None
        found = [value for _, value in await visible(kafka.bootstrap_servers, topic)]
        assert found == [b"before", b"after"]

    asyncio.run(scenario())


def test_of_records_that_are_too_large_together_none_is_rejected(kafka: Kafka, topic_prefix: str) -> None:
    """As after ``max.message.bytes`` was lowered: batches get smaller until they fit."""
    topic = topic_prefix + "raw"
    records = [record(random.randbytes(9_000)) for _ in range(50)]

    async def scenario() -> None:
        await make_topics(kafka.bootstrap_servers, topic, configs={"max.message.bytes": "40000"})
        async with producing(configuration(kafka.bootstrap_servers, topic), partitions=1) as producer:
            stored: list[bytes] = []

            async def are_stored() -> bool:
                await becomes_ready(producer, 0)
                deliveries = await producer.send(records)
                assert set(deliveries) <= {"stored", "not_sent"}
                stored.extend(values(records, deliveries, "stored"))
                return "not_sent" not in deliveries

            await eventually(are_stored, what="all of them are stored")
        assert [value for _, value in await visible(kafka.bootstrap_servers, topic)] == stored

    asyncio.run(scenario())
