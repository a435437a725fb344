"""The lag that a worker reports: a number only where the brokers reported one.

What nobody may read yet is counted apart from it.
"""

import asyncio
from pathlib import Path
from typing import Any

from testing.kafka.broker import LocalBroker
from testing.wait import eventually
from testing.worker_process import WorkerProcess
from tests.chaos.deployment import Deployment
from tests.contract.cluster import writing_in_transaction


async def reports(worker: WorkerProcess, what: str, **fields: Any) -> None:
    """Wait until the last status has these fields."""

    async def does() -> bool:
        assert worker.running, worker.raw_log()[-3000:]
        status = worker.log("worker.status")
        return bool(status) and {name: status[-1][name] for name in fields} == fields

    await eventually(does, what=what, timeout_s=60)


def test_lag_is_null_while_brokers_are_away_and_open_transactions_are_counted_apart(
    local_broker: LocalBroker, tmp_path: Path, topic_prefix: str
) -> None:
    with Deployment(local_broker.bootstrap_servers, topic_prefix, tmp_path) as deployment:

        async def scenario() -> None:
            await deployment.create_topics(2)
            worker = deployment.worker("only")
            worker.start()
            nothing = {"0": 0, "1": 0}
            await reports(worker, "nothing to read", lag=nothing, lag_unknown={}, in_open_transactions={})
            async with writing_in_transaction(
                local_broker.bootstrap_servers, deployment.config.topics.raw
            ) as producer:
                await producer.send_and_wait(deployment.config.topics.raw, b"[]", partition=1)
                await reports(worker, "one is undecided", lag=nothing, in_open_transactions={"1": 1})
                await producer.abort_transaction()
            await reports(worker, "it is decided", lag=nothing, in_open_transactions={})
            local_broker.pause()
            unknown = {"0": None, "1": None}
            await reports(worker, "nobody knows", lag=unknown, partitions_running=2)
            (reason,) = worker.log("worker.status")[-1]["lag_unknown"]
            assert reason.startswith("no fetch has been answered")
            local_broker.resume()
            await reports(worker, "known again", lag=nothing, lag_unknown={})
            assert await worker.stop() == 0

        asyncio.run(scenario())
