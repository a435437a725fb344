"""What brokers refuse for good is reported by the name of its own topic, and as refused, whatever the client
makes of it, and whichever topic somebody waits for.
"""

import asyncio
import time
from collections.abc import Mapping

import pytest

from testing.wait import eventually
from tests.contract.cluster import admin, make_topics
from tests.contract.place import Place
from worker.adapters.kafka.changelog import KafkaChangelog
from worker.adapters.kafka.transaction import KafkaTransaction
from worker.errors import TransactionLost

YEAR_MS = 365 * 86_400_000


@pytest.mark.parametrize(
    ("configs", "error"),
    [
        ({"max.message.bytes": "200"}, "MessageSizeTooLarge"),
        ({"cleanup.policy": "compact"}, "InvalidRecord"),  # the client has no name for it
        ({"message.timestamp.before.max.ms": "1000"}, "InvalidTimestamp"),
    ],
)
def test_one_topic_that_refuses_is_named_though_others_were_sent_to_after_it(
    place: Place, configs: Mapping[str, str], error: str
) -> None:
    strict = place.prefix + "strict"

    async def scenario() -> None:
        await make_topics(place.servers, strict, configs=configs)
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            with pytest.raises(TransactionLost) as lost:
                await _send(transaction, (strict, bytes(500)), (place.outputs, b"fits"), (strict, b""))
        assert str(lost.value).startswith(f"send to {strict}: {error}")
        assert lost.value.refused

    asyncio.run(scenario())


def test_a_topic_that_was_deleted_is_named_though_others_wait_for_it(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction(transaction_timeout_ms=5_000) as transaction:
            await transaction.fence()
            await transaction.begin()
            await _send(transaction, (place.outputs, b"known"), (place.changelog, b"to the client"))
            await transaction.add_offsets({place.raw: 1}, "incarnation-1")
            await transaction.commit()
            await _delete(place, place.changelog)
            await transaction.begin()
            with pytest.raises(TransactionLost) as lost:
                await _send(transaction, (place.outputs, b"first in line"), (place.changelog, b"nowhere"))
        assert str(lost.value) == f"send to {place.changelog}: there is no such topic"
        assert lost.value.refused
        assert lost.value.missing_topic == place.changelog

    asyncio.run(scenario())


def test_a_changelog_that_was_deleted_is_missing(place: Place) -> None:
    async def scenario() -> None:
        changelog = KafkaChangelog(
            client={"bootstrap_servers": place.servers},
            topic=place.changelog,
            partition=0,
            fetch_bytes=1024 * 1024,
        )
        try:
            assert await changelog.bounds() == (0, 0)
            await changelog.close()
            await _delete(place, place.changelog)
            with pytest.raises(TransactionLost, match="there is no such topic") as lost:
                await changelog.bounds()
        finally:
            await changelog.close()
        assert lost.value.refused
        assert lost.value.missing_topic == place.changelog

    asyncio.run(scenario())


def test_a_transaction_timeout_above_the_brokers_is_refused_by_the_option_s_name(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction(transaction_timeout_ms=10**8) as transaction:
            with pytest.raises(TransactionLost, match=r"fence: .*kafka\.transaction_timeout_ms") as lost:
                await transaction.fence()
        assert lost.value.refused

    asyncio.run(scenario())


async def _send(transaction: KafkaTransaction, *records: tuple[str, bytes]) -> None:
    """Records without a key and of a year ago, and wait for them."""
    for topic, value in records:
        await transaction.send(topic, [(None, value, time.time_ns() // 1_000_000 - YEAR_MS)])
    await transaction.acknowledged()


async def _delete(place: Place, topic: str) -> None:
    async with admin(place.servers) as client:
        await client.delete_topics([topic])

        async def is_gone() -> bool:
            return topic not in await client.list_topics()

        await eventually(is_gone, what=f"{topic} is gone")
