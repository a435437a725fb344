"""What ends a transaction that a broker has forgotten: one that is still open where it has written, though
its coordinator knows nothing of it.

A lone broker that is killed just after it has answered a commit may leave some such at its next start. Here
they are made by a producer that does not tell the coordinator, on a broker that does not ask it.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from tests.contract.cluster import ends, visible_records
from tests.contract.place import Place, write_all
from tests.kafka.broker import LocalBroker
from worker.adapters.kafka_changelog import KafkaChangelog
from worker.errors import TransactionHangs


@pytest.fixture(scope="module")
def trusting_broker(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """One that takes a producer's word for it that the coordinator knows of its transaction."""
    settings = {"transaction.partition.verification.enable": "false"}
    with LocalBroker(kafka_jars, tmp_path_factory.mktemp("broker"), settings=settings) as broker:
        yield broker


@pytest.fixture
def place(trusting_broker: LocalBroker, topic_prefix: str) -> Place:
    """The topics of one test, the re-key topic among them."""
    place = Place(trusting_broker.bootstrap_servers, topic_prefix)
    asyncio.run(place.make_topics())
    asyncio.run(place.make_rekey_topic())
    return place


async def leave_hanging(place: Place) -> None:
    """A transaction that nobody ends, of all topics, another partition and the group's offsets."""
    producer = AIOKafkaProducer(bootstrap_servers=place.servers, transactional_id=f"{place.group}/0")
    await producer.start()
    try:
        await producer.begin_transaction()
        places = [(place.outputs, 0), (place.changelog, 0), (place.rekey, 1)]
        known = producer._txn_manager
        known._txn_partitions.update(TopicPartition(*written) for written in places)
        known._txn_consumer_group = place.group
        for topic, partition in places:
            await producer.send_and_wait(topic, b"hangs", partition=partition)
        await producer.send_offsets_to_transaction({TopicPartition(place.raw, 0): 5}, place.group)
    finally:
        await producer.stop()


def reach(place: Place) -> list[tuple[str, int]]:
    """Where a transaction may have written."""
    return [(place.changelog, 0), (place.outputs, 0), *((place.rekey, number) for number in range(3))]


def changelog_of(place: Place) -> KafkaChangelog:
    return KafkaChangelog(
        client={"bootstrap_servers": place.servers}, topic=place.changelog, partition=0, fetch_bytes=2**20
    )


async def sent_on(place: Place) -> list[bytes | None]:
    """What everybody sees in the other partition of the re-key topic."""
    return [record.value for record in await visible_records(place.servers, place.rekey, 1)]


def test_fencing_does_not_end_it_and_the_changelog_tells_it(place: Place) -> None:
    async def scenario() -> None:
        await leave_hanging(place)
        changelog = changelog_of(place)
        async with place.transaction() as transaction:
            await transaction.fence()
            with pytest.raises(TransactionHangs, match=f"{place.changelog}/0 from offset 0"):
                await changelog.bounds()
        await changelog.close()

    asyncio.run(scenario())


def test_aborted_everywhere_it_is_gone_from_every_partition_and_from_the_offsets(place: Place) -> None:
    async def scenario() -> None:
        await leave_hanging(place)
        changelog = changelog_of(place)
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.abort_everywhere(reach(place))
            transaction.discard()
            await transaction.fence()
            assert await changelog.bounds() == (0, 2)  # what hung, and a marker
            stable, end = await ends(place.servers, place.rekey, 1)
            assert stable == end
            await write_all(transaction, place, b"again", next_offset=6)
            await transaction.commit()
            await place.becomes_visible([b"again"], [b"again"], 6)
            assert await sent_on(place) == []
        await changelog.close()

    asyncio.run(scenario())


def test_where_nothing_hangs_it_changes_nothing(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await write_all(transaction, place, b"one", next_offset=1)
            await transaction.commit()
            transaction.discard()
            await transaction.fence()
            await transaction.abort_everywhere(reach(place))
            transaction.discard()
            await transaction.fence()
            await write_all(transaction, place, b"two", next_offset=2)
            await transaction.commit()
            await place.becomes_visible([b"one", b"two"], [b"one", b"two"], 2)

    asyncio.run(scenario())


def test_the_next_commit_would_make_it_visible_beside_what_was_done_again(place: Place) -> None:
    """Why the above is worth its trouble."""

    async def scenario() -> None:
        await leave_hanging(place)
        async with place.transaction() as transaction:
            await transaction.fence()
            await write_all(transaction, place, b"again", next_offset=6)
            await transaction.commit()
            await place.becomes_visible([b"hangs", b"again"], [b"hangs", b"again"], 6)

    asyncio.run(scenario())
