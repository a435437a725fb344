"""What a Transaction does when requests and answers get lost.

It never claims what it does not know, and a delayed request never ends a later transaction.
"""

import asyncio
import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from testing.kafka.proxy import Api, NetworkFault
from testing.wait import eventually
from tests.contract.bad_network import BadNetwork
from tests.contract.place import write_all
from worker.errors import TransactionLost

IN_A_TRANSACTION = [
    Api.ADD_PARTITIONS_TO_TXN,
    Api.PRODUCE,
    Api.ADD_OFFSETS_TO_TXN,
    Api.TXN_OFFSET_COMMIT,
    Api.END_TXN,
]


@pytest.mark.parametrize(
    "kind", [NetworkFault.REQUEST_LOST, NetworkFault.ANSWER_LOST, NetworkFault.ANSWER_EATEN], ids=str
)
@pytest.mark.parametrize("api", IN_A_TRANSACTION, ids=repr)
def test_a_commit_that_succeeded_after_a_silent_retry_is_the_last_of_its_producer(
    network: BadNetwork, api: Api, kind: NetworkFault
) -> None:
    async def scenario() -> None:
        async with (
            network.place() as (proxy, place),
            place.transaction(request_timeout_ms=700) as transaction,
        ):
            await transaction.fence()
            mishap = proxy.next(api, kind)
            await write_all(transaction, place, b"one", next_offset=1)
            await transaction.commit()
            assert mishap.happened.is_set()
            with pytest.raises(TransactionLost, match="an answer was lost in the last transaction"):
                await transaction.begin()
            await transaction.fence()
            await write_all(transaction, place, b"two", next_offset=2)
            await transaction.commit()
            await place.becomes_visible([b"one", b"two"], [b"one", b"two"], 2)

    asyncio.run(scenario())


def test_what_is_lost_outside_a_transaction_does_no_harm(network: BadNetwork) -> None:
    async def scenario() -> None:
        async with network.place() as (proxy, place), place.transaction() as transaction:
            lost = proxy.next(Api.INIT_PRODUCER_ID, NetworkFault.ANSWER_LOST)
            await transaction.fence()
            assert lost.happened.is_set()
            await write_all(transaction, place, b"one", next_offset=1)
            await transaction.commit()
            proxy.cut()
            await write_all(transaction, place, b"two", next_offset=2)
            await transaction.commit()
            await place.becomes_visible([b"one", b"two"], [b"one", b"two"], 2)

    asyncio.run(scenario())


def test_a_late_copy_of_a_commit_cannot_end_the_next_transaction(network: BadNetwork) -> None:
    async def scenario() -> None:
        async with network.place() as (proxy, place), place.transaction() as transaction:
            await transaction.fence()
            late = proxy.next(Api.END_TXN, NetworkFault.HELD)
            await write_all(transaction, place, b"one", next_offset=1)
            await transaction.commit()
            with pytest.raises(TransactionLost):
                await transaction.begin()
            await transaction.fence()
            await write_all(transaction, place, b"two", next_offset=2)
            await proxy.deliver(late)
            transaction.discard()
            await transaction.fence()
            await place.becomes_visible([b"one"], [b"one"], 1)

    asyncio.run(scenario())


def test_a_late_copy_of_a_commit_would_end_the_next_transaction_of_the_plain_client(
    network: BadNetwork,
) -> None:
    """Why the one above is worth its trouble (KIP-890)."""

    async def scenario() -> None:
        async with network.place() as (proxy, place):
            producer = AIOKafkaProducer(
                bootstrap_servers=place.servers, transactional_id=place.group, transaction_timeout_ms=20_000
            )
            await producer.start()
            try:
                late = proxy.next(Api.END_TXN, NetworkFault.HELD)
                await producer.begin_transaction()
                await producer.send_and_wait(place.outputs, b"one", partition=0)
                await producer.commit_transaction()
                await producer.begin_transaction()
                await producer.send_and_wait(place.outputs, b"two", partition=0)
                await proxy.deliver(late)
                await place.becomes_visible([b"one", b"two"], [], None)
                with pytest.raises(KafkaError):  # it is over already
                    await producer.abort_transaction()
            finally:
                await producer.stop()

    asyncio.run(scenario())


def test_a_late_copy_of_a_fencing_costs_a_transaction_and_nothing_else(network: BadNetwork) -> None:
    async def scenario() -> None:
        async with network.place() as (proxy, place), place.transaction() as transaction:
            late = proxy.next(Api.INIT_PRODUCER_ID, NetworkFault.HELD)
            await transaction.fence()
            await write_all(transaction, place, b"one", next_offset=1)
            await proxy.deliver(late)
            with pytest.raises(TransactionLost):
                await transaction.commit()
            await transaction.fence()
            await write_all(transaction, place, b"two", next_offset=2)
            await transaction.commit()
            await place.becomes_visible([b"two"], [b"two"], 2)

    asyncio.run(scenario())


def test_a_lost_commit_may_have_happened_and_then_counts_once(network: BadNetwork) -> None:
    async def scenario() -> None:
        async with (
            network.place() as (proxy, place),
            place.transaction(transaction_timeout_ms=2_000) as transaction,
        ):
            await transaction.fence()
            await write_all(transaction, place, b"committed", next_offset=1)
            eaten = proxy.next(Api.END_TXN, NetworkFault.ANSWER_EATEN)
            with pytest.raises(TransactionLost, match="commit: no answer in time"):
                await transaction.commit()
            assert eaten.happened.is_set()
            transaction.discard()
            await transaction.fence()
            await place.becomes_visible([b"committed"], [b"committed"], 1)

    asyncio.run(scenario())


def test_a_lost_commit_may_not_have_happened_and_then_leaves_nothing(network: BadNetwork) -> None:
    async def scenario() -> None:
        async with (
            network.place() as (proxy, place),
            place.transaction(transaction_timeout_ms=2_000) as transaction,
        ):
            await transaction.fence()
            await write_all(transaction, place, b"aborted", next_offset=1)
            proxy.fall_silent()
            with pytest.raises(TransactionLost, match="commit: no answer in time"):
                await transaction.commit()
            transaction.discard()
            proxy.speak_again()
            await transaction.fence()
            await place.becomes_visible([], [], None)

    asyncio.run(scenario())


def test_fencing_gives_up_in_time_and_succeeds_once_the_broker_answers(network: BadNetwork) -> None:
    async def scenario() -> None:
        async with (
            network.place() as (proxy, place),
            place.transaction(transaction_timeout_ms=1_000) as transaction,
        ):
            proxy.fall_silent()
            with pytest.raises(TransactionLost, match="fence: "):
                await transaction.fence()
            proxy.speak_again()
            await transaction.fence()
            await write_all(transaction, place, b"one", next_offset=1)
            await transaction.commit()
            await place.becomes_visible([b"one"], [b"one"], 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "gone"])
def test_discarding_does_not_wait_for_a_broker_that_is_away(network: BadNetwork, silent: bool) -> None:
    async def scenario() -> None:
        async with network.place() as (proxy, place):
            for what in ("idle", "in a transaction", "sending", "committing"):
                async with place.transaction(transaction_timeout_ms=2_000) as transaction:
                    await transaction.fence()
                    if what != "idle":
                        await write_all(transaction, place, b"", next_offset=1)
                    if silent:
                        proxy.fall_silent()
                    else:
                        await proxy.leave()
                    if what == "sending":
                        await transaction.send(place.outputs, [(None, b"in flight", None)])
                    if what == "committing":
                        with pytest.raises(TransactionLost):
                            await transaction.commit()
                    started = time.monotonic()
                    transaction.discard()
                    await transaction.closed()
                    assert time.monotonic() - started < 1.0, what
                    if silent:
                        proxy.speak_again()
                    else:
                        await proxy.come_back()
        await eventually(only_this_task, what="nothing is left running", timeout_s=5)

    asyncio.run(scenario())


async def only_this_task() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}
