"""Each right of docs/operations.md that is missing: `check` and `run` name it at the start, and a worker that
has lost it ends by its name.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from testing.kafka import rights
from testing.kafka.rights import Right
from testing.kafka.secured_broker import SecuredBroker
from tests.chaos.deployment import Deployment
from tests.commands import Sessionizer
from worker.adapters.kafka.rights import OPERATIONS
from worker.config import Config
from worker.demo.traffic import RawRecord, make_traffic
from worker.model.topics import TOPICS

NOW_MS = 1_760_000_000_000
PASSWORD = "rights-Pa55word-of-the-tests"
QUICK = {"KAFKA_HEARTBEAT_INTERVAL_MS": "100", "KAFKA_TRANSACTION_TIMEOUT_MS": "6000"}
USER = "rights-user"


def every_right(config: Config) -> dict[str, Right]:
    """What a worker needs, by a name for each."""
    group_id = config.kafka.group_id
    return {
        "group": Right("group", group_id, "Read"),
        "transactional id": Right("transactional_id", f"{group_id}/", "Write", prefixed=True),
        **{
            f"{operation.lower()} {role}": Right("topic", config.topic_name(role), operation)
            for role, spec in TOPICS.items()
            for operation in OPERATIONS[spec.kind]
        },
    }


def resource(right: Right) -> list[str]:
    """How a command names it."""
    kind = right.kind.replace("_", "-")
    pattern = ["--resource-pattern-type", "prefixed"] if right.prefixed else []
    return [f"--{kind}", right.name, *pattern]


def misplaced(records: Sequence[RawRecord]) -> list[RawRecord]:
    """The same with keys that lead to any partition: most devices belong to another one."""
    return [
        RawRecord(f"any-{n}".encode(), record.value, record.timestamp_ms) for n, record in enumerate(records)
    ]


class Place:
    """Deployments on the secured broker, of one user, each with all the rights that it needs."""

    def __init__(self, broker: SecuredBroker, prefix: str, directory: Path) -> None:
        self.broker = broker
        self._prefix = prefix
        self._directory = directory
        self._password = directory / "password"
        self._password.write_text(PASSWORD)
        broker.set_password(USER, PASSWORD)

    def deployment(self, name: str) -> Deployment:
        """With its topics."""
        directory = self._directory / name.replace(" ", "-")
        directory.mkdir()
        options = {**self.broker.scram_options(USER, self._password), **QUICK}
        prefix = f"{self._prefix}{directory.name}."
        deployment = Deployment(self.broker.direct_servers, prefix, directory, options)
        self.broker.grant(USER, rights.of_worker(deployment.config))
        asyncio.run(deployment.create_topics(2))
        return deployment


@pytest.fixture
def place(secured_broker: SecuredBroker, topic_prefix: str, tmp_path: Path) -> Place:
    """A place of this test alone."""
    return Place(secured_broker, topic_prefix, tmp_path)


def test_check_names_each_missing_right_with_the_command_that_grants_it(
    place: Place, sessionizer: Sessionizer
) -> None:
    with place.deployment("asked") as deployment:
        variables = {n.removeprefix("SESSIONIZER_"): v for n, v in deployment.environment.items()}
        shown = sessionizer("check", **variables)
        assert shown.code == 0, shown.out
        assert "warning: " in shown.out
        assert "replication factor 1" in shown.out
        for right in every_right(deployment.config).values():
            command = (
                f"kafka-acls.sh --bootstrap-server {deployment.config.kafka.bootstrap_servers} --add "
                f"--allow-principal User:{USER} --operation {right.operation} {' '.join(resource(right))}"
            )
            with place.broker.without(USER, right):
                shown = sessionizer("check")
            assert shown.code == 1, right
            assert f"remedy: {command}\n" in shown.out, right
            assert shown.out.count("stops the worker") == 1, shown.out
            assert PASSWORD not in shown.out + shown.err
        everything = [
            right
            for right in rights.of_worker(deployment.config)
            if right.kind == "topic" and right.name == deployment.config.topics.enriched
        ]
        with place.broker.without(USER, *everything):
            shown = sessionizer("check")
        assert f"{deployment.config.topics.enriched}: may not be seen: the user needs" in shown.out
        assert sessionizer("check").code == 0


def test_check_disturbs_no_worker(place: Place, sessionizer: Sessionizer) -> None:
    with place.deployment("undisturbed") as deployment:
        variables = {n.removeprefix("SESSIONIZER_"): v for n, v in deployment.environment.items()}
        records = make_traffic(1_000, seed=1, now_ms=NOW_MS).records
        worker = deployment.worker("only")
        worker.start()
        asyncio.run(worker.wait_for("partition.initialized", count=2))
        for start in range(0, len(records), 50):
            asyncio.run(deployment.feed(records[start : start + 50]))
            assert sessionizer("check", **variables).code == 0
        asyncio.run(deployment.caught_up())
        assert asyncio.run(worker.stop()) == 0
    assert not worker.log("transaction.lost")


def test_a_right_that_is_missing_at_the_start_ends_the_worker_by_name(place: Place) -> None:
    async def reason(deployment: Deployment) -> str:
        worker = deployment.worker("only")
        worker.start()
        assert await worker.ended() == 1, worker.raw_log()
        assert "Traceback" not in worker.raw_log()
        (failed,) = worker.log("worker.failed")
        return str(failed["reason"])

    with place.deployment("start") as deployment:
        missing = [
            every_right(deployment.config)[name]
            for name in ("read raw", "write repartition", "transactional id")
        ]
        with place.broker.without(USER, *missing):
            logged = asyncio.run(reason(deployment))
    for right in missing:
        assert f"--operation {right.operation} {' '.join(resource(right))}" in logged


# Nobody reads the changelog before the next restore.
LIVE = [name for name in every_right(Config()) if name != "read changelog"]


def test_a_right_that_is_taken_away_ends_each_worker_by_name(place: Place) -> None:
    deployments = {name: place.deployment(name) for name in LIVE}
    traffic = make_traffic(4_000, seed=1, now_ms=NOW_MS).records
    half = len(traffic) // 2

    async def live(name: str, deployment: Deployment, few: asyncio.Semaphore) -> tuple[str, str]:
        async with few:
            worker = deployment.worker("only")
            worker.start()
            await deployment.feed(traffic[:half])
            await worker.wait_for("partition.initialized", count=2)
            await deployment.caught_up()
            right = every_right(deployment.config)[name]
            await asyncio.to_thread(place.broker.take_away, USER, [right])
            await deployment.feed(
                misplaced(traffic[half:]) if name == "write repartition" else traffic[half:]
            )
            assert await worker.ended(timeout_s=60) == 1, worker.raw_log()
            assert PASSWORD not in worker.raw_log()
            (failed,) = worker.log("worker.failed")
            return name, str(failed["reason"])

    async def all_of_them() -> list[tuple[str, str]]:
        few = asyncio.Semaphore(3)
        runs = [live(name, deployment, few) for name, deployment in deployments.items()]
        return await asyncio.gather(*runs)

    try:
        reasons = dict(asyncio.run(all_of_them()))
    finally:
        for deployment in deployments.values():
            deployment.__exit__(None, None, None)
    for name, deployment in deployments.items():
        right = every_right(deployment.config)[name]
        kind = right.kind.replace("_", " ")
        assert f"the user needs the operation {right.operation} on {kind} {right.name}" in reasons[name]
        command = f"--allow-principal User:{USER} --operation {right.operation} {' '.join(resource(right))}"
        assert command in reasons[name]


def test_a_right_that_is_granted_again_in_time_ends_no_worker(place: Place) -> None:
    async def scenario(deployment: Deployment) -> None:
        traffic = make_traffic(500, seed=1, now_ms=NOW_MS).records
        # Slower than elsewhere here: five refusals must not be over before the right is back.
        worker = deployment.worker("only", {"KAFKA_HEARTBEAT_INTERVAL_MS": "1000"})
        worker.start()
        await deployment.feed(traffic[:50])
        await deployment.caught_up()
        for name in ("write enriched", "transactional id"):
            before = len(worker.log("transaction.lost"))
            right = every_right(deployment.config)[name]
            await asyncio.to_thread(place.broker.take_away, USER, [right])
            await deployment.feed(traffic[50:100])
            await worker.wait_for("transaction.lost", count=before + 1)
            await asyncio.to_thread(place.broker.grant, USER, [right])
            await deployment.caught_up()
        assert await worker.stop() == 0

    with place.deployment("again") as deployment:
        asyncio.run(scenario(deployment))
