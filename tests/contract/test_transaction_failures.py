"""What the broker itself tells of a transaction that fails: one error, and nothing is visible."""

import asyncio

import pytest

from testing.wait import eventually
from tests.contract.cluster import make_topics, visible
from tests.contract.place import Place, write_all
from worker.errors import TransactionLost


def test_a_refused_batch_is_reported_by_acknowledged_and_nothing_is_visible(place: Place) -> None:
    narrow = place.prefix + "narrow"

    async def scenario() -> None:
        await make_topics(place.servers, narrow, configs={"max.message.bytes": "1000"})
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.send(place.outputs, [(None, b"fits", None)])
            await transaction.send(narrow, [(None, bytes(2000), None)])
            with pytest.raises(TransactionLost, match=f"{narrow}.*MessageSizeTooLarge") as lost:
                await transaction.acknowledged()
            assert lost.value.refused
            transaction.discard()
            await transaction.fence()
            assert await place.is_settled()
            assert await place.all_visible() == ([], [], None)
            assert await visible(place.servers, narrow) == []

    asyncio.run(scenario())


def test_a_topic_that_is_not_there_is_a_loss_too(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction(request_timeout_ms=500) as transaction:
            await transaction.fence()
            await transaction.begin()
            with pytest.raises(TransactionLost, match=place.prefix + "nowhere"):
                await transaction.send(place.prefix + "nowhere", [(None, b"", None)])

    asyncio.run(scenario())


def test_a_transaction_that_the_broker_timed_out_is_lost(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction(transaction_timeout_ms=1000) as transaction:
            await transaction.fence()
            await write_all(transaction, place, b"late", next_offset=7)
            await eventually(place.is_settled, what="the broker aborts the transaction")
            with pytest.raises(TransactionLost):
                await transaction.commit()
            assert await place.all_visible() == ([], [], None)
            await transaction.fence()
            await write_all(transaction, place, b"in time", next_offset=8)
            await transaction.commit()
            await place.becomes_visible([b"in time"], [b"in time"], 8)

    asyncio.run(scenario())


def test_a_producer_may_rest_for_longer_than_a_transaction_may_take(place: Place) -> None:
    async def scenario() -> None:
        async with (
            place.transaction(transaction_timeout_ms=1000) as resting,
            place.transaction("other", transaction_timeout_ms=1000) as abandoned,
        ):
            await resting.fence()
            await write_all(resting, place, b"one", next_offset=1)
            await resting.commit()
            await abandoned.fence()
            await abandoned.begin()
            await abandoned.send(place.outputs, [(None, b"never", None)])
            await abandoned.acknowledged()
            await eventually(place.is_settled, what="a transaction's time is over")
            await write_all(resting, place, b"two", next_offset=2)
            await resting.commit()
            await place.becomes_visible([b"one", b"two"], [b"one", b"two"], 2)

    asyncio.run(scenario())
