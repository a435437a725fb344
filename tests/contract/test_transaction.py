"""What a Transaction is, on a real broker: all or nothing for every reader, and one writer at a time.

Whatever goes wrong has one remedy: ``discard`` and ``fence``.

What a network can do to it is in ``test_transaction_on_a_bad_network``.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from testing.wait import eventually
from tests.contract.cluster import visible
from tests.contract.place import Place, write_all
from tests.native_parts import IMPLEMENTATIONS
from worker.adapters.kafka.transaction import KafkaTransaction
from worker.errors import TransactionLost
from worker.native.parts import NativeParts

HALF_MIB = 512 * 1024


@pytest.fixture(params=IMPLEMENTATIONS)
def native(request: pytest.FixtureRequest) -> NativeParts:
    """Both ways to put batches together."""
    return IMPLEMENTATIONS[request.param]


# --- all or nothing ---


def test_nothing_is_visible_before_the_commit_and_all_of_it_after(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await write_all(transaction, place, b"one", next_offset=7)
            assert await place.all_visible() == ([], [], None)
            await transaction.commit()
            await place.becomes_visible([b"one"], [b"one"], 7)

    asyncio.run(scenario())


def test_a_transaction_follows_another_without_fencing_again(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            for number in range(3):
                await write_all(transaction, place, b"%d" % number, next_offset=number)
                await transaction.commit()
            await place.becomes_visible([b"0", b"1", b"2"], [b"0", b"1", b"2"], 2)

    asyncio.run(scenario())


def test_acknowledged_tells_the_offset_after_the_last_record_of_each_topic(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.send(place.outputs, [(None, b"a", None), (None, b"b", None)])
            await transaction.send(place.changelog, [(b"k", b"a", None)])
            await transaction.send(place.raw, [])
            assert await transaction.acknowledged() == {place.outputs: 2, place.changelog: 1}
            await transaction.commit()
            await transaction.begin()
            await transaction.send(place.outputs, [(None, b"c", None)])
            # The commit's marker took an offset too.
            assert await transaction.acknowledged() == {place.outputs: 4}
            await transaction.commit()

    asyncio.run(scenario())


def test_discarding_leaves_nothing_visible_and_the_next_fence_ends_what_was_open(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await write_all(transaction, place, b"dropped", next_offset=7)
            transaction.discard()
            await transaction.fence()
            assert await place.is_settled()
            await write_all(transaction, place, b"kept", next_offset=8)
            await transaction.commit()
            await place.becomes_visible([b"kept"], [b"kept"], 8)

    asyncio.run(scenario())


# --- records ---


def test_the_order_is_kept_over_many_batches(place: Place) -> None:
    chance = random.Random(1)
    records = [(b"%d" % number, chance.randbytes(1000)) for number in range(5 * HALF_MIB // 1000)]

    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.send(place.outputs, [(key, value, None) for key, value in records[:2000]])
            await transaction.send(place.outputs, [(key, value, None) for key, value in records[2000:]])
            assert await transaction.acknowledged() == {place.outputs: len(records)}
            await transaction.commit()
        await eventually(place.is_settled, what="the transaction has ended")
        assert await visible(place.servers, place.outputs) == records

    asyncio.run(scenario())


def test_a_record_larger_than_a_batch_goes_alone_and_in_its_place(place: Place) -> None:
    large = random.Random(1).randbytes(HALF_MIB + 200_000)

    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.send(
                place.outputs,
                [(b"1", b"small", None), (b"2", large, None), (b"3", large, None), (b"4", b"small", None)],
            )
            assert await transaction.acknowledged() == {place.outputs: 4}
            await transaction.commit()
        await eventually(place.is_settled, what="the transaction has ended")
        assert await visible(place.servers, place.outputs) == [
            (b"1", b"small"),
            (b"2", large),
            (b"3", large),
            (b"4", b"small"),
        ]

    asyncio.run(scenario())


def test_a_record_may_lack_its_key_or_its_value(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction() as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.send(place.outputs, [(None, b"no key", 5), (b"tombstone", None, 6)])
            await transaction.acknowledged()
            await transaction.commit()
        await eventually(place.is_settled, what="the transaction has ended")
        assert await visible(place.servers, place.outputs) == [(None, b"no key"), (b"tombstone", None)]

    asyncio.run(scenario())


# --- one writer at a time ---


async def send_more(transaction: KafkaTransaction, place: Place) -> None:
    await transaction.send(place.outputs, [(None, b"more", None)])
    await transaction.acknowledged()


async def add_offsets(transaction: KafkaTransaction, place: Place) -> None:
    await transaction.add_offsets({place.raw: 7}, "incarnation-1")


async def commit(transaction: KafkaTransaction, place: Place) -> None:
    await transaction.commit()


@pytest.mark.parametrize("next_use", [send_more, add_offsets, commit])
def test_who_was_fenced_hears_of_it_at_the_next_use_and_what_was_open_is_aborted(
    place: Place, next_use: Callable[[KafkaTransaction, Place], Awaitable[None]]
) -> None:
    async def scenario() -> None:
        async with place.transaction() as zombie, place.transaction() as heir:
            await zombie.fence()
            await write_all(zombie, place, b"zombie", next_offset=7)
            await heir.fence()
            with pytest.raises(TransactionLost, match="ProducerFenced"):
                await next_use(zombie, place)
            await write_all(heir, place, b"heir", next_offset=8)
            await heir.commit()
            await place.becomes_visible([b"heir"], [b"heir"], 8)

    asyncio.run(scenario())


def test_after_a_failure_every_use_fails_until_it_is_fenced_again(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction() as zombie, place.transaction() as heir:
            await zombie.fence()
            await write_all(zombie, place, b"zombie", next_offset=7)
            await heir.fence()
            with pytest.raises(TransactionLost):
                await zombie.commit()
            for _ in ("the failed producer", "no producer"):
                with pytest.raises(TransactionLost):
                    await zombie.begin()
                with pytest.raises(TransactionLost):
                    await zombie.send(place.outputs, [(None, b"more", None)])
                with pytest.raises(TransactionLost):
                    await zombie.add_offsets({place.raw: 9}, "incarnation-1")
                with pytest.raises(TransactionLost):
                    await zombie.commit()
                zombie.discard()
            await zombie.fence()
            await write_all(zombie, place, b"back", next_offset=9)
            await zombie.commit()
            await place.becomes_visible([b"back"], [b"back"], 9)

    asyncio.run(scenario())


# --- throwing away ---


def test_discarding_does_not_wait_and_leaves_no_task_behind(place: Place) -> None:
    async def scenario() -> None:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with place.transaction() as transaction:
            await transaction.fence()
            await write_all(transaction, place, b"open", next_offset=7)
            await transaction.send(place.outputs, [(None, b"in flight", None)])
            transaction.discard()
            transaction.discard()
            await transaction.closed()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert complaints == []

    asyncio.run(scenario())


def test_what_was_never_fenced_can_be_discarded(place: Place) -> None:
    async def scenario() -> None:
        async with place.transaction() as transaction:
            with pytest.raises(TransactionLost):
                await transaction.begin()

    asyncio.run(scenario())
