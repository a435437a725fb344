"""``python -m tests.chaos.crashing_worker run``: the worker, ended at a named point of its work.

``CRASH_AT`` names the point, such as ``before commit`` or ``after store write``; ``CRASH_ON_PASSAGE`` at
which passage (default: the first). The process then ends as by SIGKILL: no handler runs, nothing is flushed.
The points are wrapped around the worker's own classes here, so the worker itself has no trace of them.
"""

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

import worker.task.startup as startup
from testing.worker_process import WorkerProcess
from worker.adapters.kafka.consumer import ConsumerGroup
from worker.adapters.kafka.poller import Poller
from worker.adapters.kafka.transaction import KafkaTransaction
from worker.adapters.rocksdb_store import RocksDBStore
from worker.cli.main import main
from worker.engine.readable import ReadableEngine

EXIT_CODE = 137
"""The exit code that a shell gives to a process that SIGKILL has ended."""

_PLACES: dict[str, tuple[Any, str]] = {
    "fetch": (Poller, "poll"),
    "decode": (ReadableEngine, "read"),
    "append": (KafkaTransaction, "send"),
    "acknowledged": (KafkaTransaction, "acknowledged"),
    "add offsets": (KafkaTransaction, "add_offsets"),
    "commit": (KafkaTransaction, "commit"),
    "store write": (RocksDBStore, "write"),
    "revoke": (ConsumerGroup, "on_partitions_revoked"),
    "assign": (ConsumerGroup, "on_partitions_assigned"),
    "restore": (startup, "restore"),
}
_ON_THE_WIRE = "EndTxn sent"

POINTS = [f"{side} {place}" for place in (*_PLACES, _ON_THE_WIRE) for side in ("before", "after")]
"""Every point that ``CRASH_AT`` may name."""


def start_crashing(worker: WorkerProcess, point: str, passage: int = 1) -> None:
    """Start the worker process so that it ends when it passes that point for the nth time."""
    variables = {"CRASH_AT": point, "CRASH_ON_PASSAGE": str(passage)}
    worker.start(module="tests.chaos.crashing_worker", variables=variables)


def arm(point: str, passage: int) -> None:
    """End this process when it passes that point for the nth time."""
    side, _, place = point.partition(" ")
    passages = iter(range(1, passage))

    def pass_by(at: str) -> None:
        if at == side and next(passages, None) is None:
            os._exit(EXIT_CODE)

    if place == _ON_THE_WIRE:
        _around_end_txn(pass_by)
        return
    owner, name = _PLACES[place]
    setattr(owner, name, _around(getattr(owner, name), pass_by, _counts(place)))


def _counts(place: str) -> Callable[[tuple[Any, ...], Any], bool]:
    """Which calls are passages: not those in which nothing happens."""
    if place == "fetch":
        return lambda arguments, result: bool(arguments[2])  # partitions are wanted
    if place == "revoke":
        return lambda arguments, result: bool(arguments[1])
    return lambda arguments, result: True


def _around(
    called: Callable[..., Any],
    pass_by: Callable[[str], None],
    counts: Callable[[tuple[Any, ...], Any], bool],
) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(called):

        @functools.wraps(called)
        async def awaited(*arguments: Any, **named: Any) -> Any:
            if counts(arguments, None):
                pass_by("before")
            result = await called(*arguments, **named)
            if counts(arguments, result):
                pass_by("after")
            return result

        return awaited

    @functools.wraps(called)
    def plain(*arguments: Any, **named: Any) -> Any:
        if counts(arguments, None):
            pass_by("before")
        result = called(*arguments, **named)
        if counts(arguments, result):
            pass_by("after")
        return result

    return plain


def _around_end_txn(pass_by: Callable[[str], None]) -> None:
    """The last moment before the request that ends a transaction is written, and the first after it."""
    from aiokafka.conn import AIOKafkaConnection
    from aiokafka.protocol.transaction import EndTxnRequest

    send = AIOKafkaConnection.send

    @functools.wraps(send)
    def watched(self: Any, request: Any, *arguments: Any, **named: Any) -> Any:
        is_end = isinstance(request, EndTxnRequest)
        if is_end:
            pass_by("before")
        answer = send(self, request, *arguments, **named)
        if is_end:
            pass_by("after")
        return answer

    AIOKafkaConnection.send = watched


if __name__ == "__main__":
    if crash_at := os.environ.get("CRASH_AT"):
        arm(crash_at, int(os.environ.get("CRASH_ON_PASSAGE", "1")))
    main()
