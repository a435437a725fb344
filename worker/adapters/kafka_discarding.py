"""Ends a producer of the client that is thrown away, whatever state it is in, and waits for no broker.

Knows the client's insides; nothing of transactions. Invariant: nothing of the producer runs on afterwards,
and no failure that nobody waits for any more is reported as forgotten.
"""

import asyncio
import contextlib
import inspect
from typing import Any

from aiokafka import AIOKafkaProducer

_DISCARD_S = 2.0


def retrieve(future: "asyncio.Future[Any]") -> None:
    """Look at a future's exception, so that a discarded batch is not reported as forgotten."""
    if not future.cancelled():
        future.exception()


def tasks_of(producer: AIOKafkaProducer) -> "set[asyncio.Task[Any]]":
    """The producer's sender and its requests under way.

    A cancelled sender waits for its requests and never cancels them; they retry, or wait for news of the
    cluster that nobody asks for any more, for ever.
    """
    sender = producer._sender
    return {
        task
        for task in asyncio.all_tasks()
        if inspect.getcoroutinelocals(task.get_coro()).get("self") is sender  # type: ignore[arg-type]
    }


async def close_without_flush(producer: AIOKafkaProducer, cancelled: "set[asyncio.Task[Any]]") -> None:
    """End a producer without its flush, which may wait for ever."""
    producer._closed = True
    with contextlib.suppress(Exception):
        await asyncio.wait_for(producer.client.close(), _DISCARD_S)
    if cancelled:
        done, _ = await asyncio.wait(cancelled, timeout=_DISCARD_S)
        for task in done:
            retrieve(task)
    outcome = producer._txn_manager._transaction_waiter
    if outcome is not None and outcome.done():  # of a commit that nobody waited for, or waited out
        retrieve(outcome)
    for batches in producer._message_accumulator._batches.values():
        for batch in batches:  # failed before it was on its way: the client waits for that itself, or nobody
            if batch._drain_waiter.done():
                retrieve(batch._drain_waiter)
