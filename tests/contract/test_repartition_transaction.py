"""What a Transaction promises of records that it sends to other partitions, on a real broker: they are there
with all else that it holds, or not at all.
"""

import asyncio
import random

import pytest

from testing.wait import eventually
from tests.conftest import Kafka
from tests.contract.cluster import is_settled, visible_records
from tests.contract.place import Place, write_all
from worker.errors import TransactionLost
from worker.model.repartition import Headers, RepartitionedRecord

Seen = tuple[bytes, bytes, Headers]


@pytest.fixture
def place(kafka: Kafka, topic_prefix: str) -> Place:
    """The topics of one test, the repartition topic among them."""
    place = Place(kafka.bootstrap_servers, topic_prefix)
    asyncio.run(place.make_topics())
    asyncio.run(place.make_repartition_topic())
    return place


def leaving(partition: int, *values: bytes) -> list[RepartitionedRecord]:
    """Records that are sent to that partition."""
    return [
        RepartitionedRecord(
            partition, b"device", value, [("origin-topic", b"raw"), ("origin-offset", b"7")], 1
        )
        for value in values
    ]


def as_seen(records: list[RepartitionedRecord]) -> list[Seen]:
    """What a reader must see of them."""
    return [(record.key, record.value, tuple(record.headers)) for record in records]


async def seen(place: Place, partition: int) -> list[Seen]:
    """What a reader of committed records sees there at the moment."""
    records = await visible_records(place.servers, place.repartition, partition)
    return [(record.key, record.value, record.headers) for record in records]


async def becomes_seen(place: Place, partition: int, records: list[RepartitionedRecord]) -> None:
    """Wait for exactly these: a commit is acknowledged before its markers are written."""

    async def is_seen() -> bool:
        return await seen(place, partition) == as_seen(records)

    await eventually(is_seen, what=f"they are seen in partition {partition}", timeout_s=10)


def test_what_is_sent_on_appears_in_its_partition_with_the_commit_and_not_before(place: Place) -> None:
    to_one, to_two = leaving(1, b"a", b"b"), leaving(2, b"c")

    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.forward(place.repartition, 1, to_one)
            await transaction.forward(place.repartition, 2, to_two)
            await transaction.send(place.changelog, [(b"key", b"state", None)])
            await transaction.acknowledged()
            await transaction.add_offsets({place.raw: 3}, "incarnation-1")
            for partition in range(3):
                assert await seen(place, partition) == []
            await transaction.commit()
            await becomes_seen(place, 1, to_one)
            await becomes_seen(place, 2, to_two)
            assert await seen(place, 0) == []
            await place.becomes_visible([], [b"state"], 3)

    asyncio.run(scenario())


def test_acknowledged_speaks_of_the_producers_own_partition_alone(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.forward(place.repartition, 1, leaving(1, b"a", b"b", b"c"))
            await transaction.send(place.outputs, [(b"key", b"value", None)])
            await transaction.forward(place.repartition, 2, leaving(2, b"d"))
            assert await transaction.acknowledged() == {place.outputs: 1}
            await transaction.commit()

    asyncio.run(scenario())


def test_the_order_is_kept_over_many_batches_and_large_records(place: Place) -> None:
    chance = random.Random(1)
    sizes = [1_000] * 1_200 + [700_000] + [1_000] * 50
    records = leaving(2, *(chance.randbytes(size) for size in sizes))

    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.forward(place.repartition, 2, records)
            await transaction.acknowledged()
            await transaction.commit()
        await becomes_seen(place, 2, records)

    asyncio.run(scenario())


def test_discarding_leaves_nothing_of_it_in_other_partitions_either(place: Place) -> None:
    kept = leaving(1, b"kept")

    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.forward(place.repartition, 1, leaving(1, b"dropped"))
            await transaction.acknowledged()
            transaction.discard()
            await transaction.fence()
            assert await is_settled(place.servers, place.repartition, 1), (
                "nobody has to wait for what was dropped"
            )
            assert await seen(place, 1) == []
            await transaction.begin()
            await transaction.forward(place.repartition, 1, kept)
            await transaction.acknowledged()
            await transaction.commit()
        await becomes_seen(place, 1, kept)

    asyncio.run(scenario())


def test_who_was_fenced_sends_nothing_on(place: Place) -> None:
    of_the_heir = leaving(1, b"heir")

    async def scenario() -> None:
        async with place.transaction() as zombie, place.transaction() as heir:
            await zombie.fence()
            await zombie.begin()
            await zombie.forward(place.repartition, 1, leaving(1, b"zombie"))
            await zombie.acknowledged()
            await heir.fence()
            await zombie.forward(place.repartition, 2, leaving(2, b"zombie"))
            with pytest.raises(TransactionLost, match="ProducerFenced"):
                await zombie.acknowledged()
            await write_all(heir, place, b"heir", next_offset=1)
            await heir.forward(place.repartition, 1, of_the_heir)
            await heir.acknowledged()
            await heir.commit()
            await becomes_seen(place, 1, of_the_heir)
            assert await seen(place, 2) == []

    asyncio.run(scenario())


def test_a_partition_waits_for_the_open_transaction_of_one_producer_and_then_shows_all_of_others(
    place: Place,
) -> None:
    of_slow, of_quick = leaving(1, b"slow"), leaving(1, b"quick")

    async def scenario() -> None:
        async with place.transaction("slow") as slow, place.transaction("quick") as quick:
            for transaction, records in ((slow, of_slow), (quick, of_quick)):
                await transaction.fence()
                await transaction.begin()
                await transaction.forward(place.repartition, 1, records)
                await transaction.acknowledged()
            await quick.commit()
            await quick.fence()  # answers once the commit is complete
            assert await seen(place, 1) == [], "what is open stands before it"
            await slow.commit()
            await becomes_seen(place, 1, of_slow + of_quick)

    asyncio.run(scenario())


def test_a_refused_record_takes_the_whole_transaction_with_it(place: Place) -> None:
    too_large = random.Random(1).randbytes(2 * 1024 * 1024)

    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.send(place.outputs, [(None, b"fits", None)])
            await transaction.forward(place.repartition, 1, leaving(1, too_large))
            with pytest.raises(TransactionLost, match=f"{place.repartition}.*MessageSizeTooLarge") as lost:
                await transaction.acknowledged()
            assert lost.value.refused
            transaction.discard()
            await transaction.fence()
            assert await place.all_visible() == ([], [], None)
            assert await seen(place, 1) == []

    asyncio.run(scenario())
