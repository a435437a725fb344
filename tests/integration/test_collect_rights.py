"""The rights of a collector: with those of docs/operations.md it stores, and each missing one is named."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from msgspec import structs

from testing.kafka import rights
from testing.kafka.rights import Right
from testing.kafka.secured_broker import SecuredBroker
from testing.wait import eventually, wait_until
from tests.chaos.deployment import Deployment
from tests.commands import Sessionizer
from tests.contract.cluster import visible
from tests.contract.raw_sender import QUICK, becomes_ready, producing, record, started
from worker.adapters.kafka import topics as kafka_topics
from worker.adapters.kafka.answers import CLUSTER_AUTHORIZATION_FAILED
from worker.adapters.kafka.client_internals.protocol import init_producer_id_error
from worker.adapters.kafka.rights import CLUSTER, Missing
from worker.adapters.kafka.security import client_options
from worker.adapters.kafka.topic_rules import Problem
from worker.config import Config, Secret
from worker.errors import LoginRefused

PASSWORD = "collector-Pa55word-of-the-tests"


@pytest.fixture
def deployment(secured_broker: SecuredBroker, topic_prefix: str, tmp_path: Path) -> Deployment:
    """The topics of this test, and a user who may do what a collector does, and no more."""
    user, file = f"{topic_prefix}user", tmp_path / "password"
    secured_broker.set_password(user, PASSWORD)
    file.write_text(PASSWORD)
    options = secured_broker.scram_options(user, file)
    deployment = Deployment(secured_broker.direct_servers, topic_prefix, tmp_path, options)
    asyncio.run(deployment.create_topics(2))
    secured_broker.grant(user, rights.of_collector(deployment.config))
    return deployment


@pytest.fixture
def config(deployment: Deployment) -> Config:
    return structs.replace(deployment.config, collect=QUICK)


def user_of(config: Config) -> str:
    return config.kafka.sasl_username


def command(config: Config, right: Right) -> str:
    return (
        f"kafka-acls.sh --bootstrap-server {config.kafka.bootstrap_servers} --add --allow-principal "
        f"User:{user_of(config)} --operation {right.operation} --{right.kind} {right.name}"
    )


def found_with(config: Config, remedies: Sequence[str]) -> list[Problem]:
    """What is found once it has these remedies, warnings apart: brokers learn of a right after a moment."""
    found: list[Problem] = []

    def are_there() -> bool:
        found[:] = asyncio.run(kafka_topics.check_collect(config))
        return [problem.remedy for problem in found if not problem.unwise] == remedies

    wait_until(are_there, what=f"the remedies are {remedies}")
    return found


def test_a_collector_with_its_rights_has_no_problem(config: Config) -> None:
    found_with(config, [])


def test_each_missing_right_is_named_with_its_command(config: Config, secured_broker: SecuredBroker) -> None:
    write, describe, describe_configs = rights.of_collector(config)
    with secured_broker.without(user_of(config), write):
        (problem, *_) = found_with(config, [command(config, write)])
        assert (problem.fatal, problem.stops) == (True, "collector")
    with secured_broker.without(user_of(config), describe_configs):
        found = found_with(config, [command(config, describe_configs)])
        assert not any(problem.fatal for problem in found)
    with secured_broker.without(user_of(config), write, describe, describe_configs):
        (problem, *others) = found_with(config, [command(config, write)])
        assert problem.what.startswith("may not be seen: the user needs the operation Write")
        assert not others
    found_with(config, [])


def test_a_producer_is_refused_as_old_brokers_do_where_no_topic_may_be_written(
    config: Config, secured_broker: SecuredBroker
) -> None:
    """Old ones ask for IdempotentWrite on the cluster whatever may be written; ours do only then."""

    async def error() -> int:
        client = AIOKafkaAdminClient(**client_options(config.kafka))
        await client.start()
        try:
            return await init_producer_id_error(client)
        finally:
            await client.close()

    def becomes(code: int) -> None:
        wait_until(lambda: asyncio.run(error()) == code, what=f"the error is {code}")

    becomes(0)
    write, *_ = rights.of_collector(config)
    with secured_broker.without(user_of(config), write):
        becomes(CLUSTER_AUTHORIZATION_FAILED)
    needed = Missing("cluster", CLUSTER, ("IdempotentWrite",)).problem(config.kafka)
    assert needed.remedy.endswith(f"User:{user_of(config)} --operation IdempotentWrite --cluster")


def test_check_covers_the_collector_where_it_has_keys(
    deployment: Deployment, sessionizer: Sessionizer
) -> None:
    variables = {n.removeprefix("SESSIONIZER_"): v for n, v in deployment.environment.items()}
    shown = sessionizer("check", **variables, COLLECT_MAX_BODY_BYTES="5000000")
    assert "stops the collector" not in shown.out
    shown = sessionizer(
        "check",
        **variables,
        COLLECT_MAX_BODY_BYTES="5000000",
        COLLECT_KEYS="web:wk_0123456789abcdef0123456789",
    )
    assert shown.code == 1, shown.err
    assert f"stops the collector: {deployment.config.topics.raw}: max.message.bytes is 1048588" in shown.out


def test_a_right_that_is_taken_away_is_named_until_it_is_back(
    config: Config, deployment: Deployment, secured_broker: SecuredBroker
) -> None:
    write, describe, describe_configs = rights.of_collector(config)
    stored = [b"before"]

    async def scenario() -> None:
        async with producing(config, partitions=2) as producer:
            assert await producer.send([record(b"before")]) == ["stored"]
            for taken in ([write], [write, describe, describe_configs]):  # the second hides the topic too
                await asyncio.to_thread(secured_broker.take_away, user_of(config), taken)

                async def is_refused() -> bool:
                    value = b"%d" % len(stored)
                    (delivery,) = await producer.send([record(value)])
                    assert delivery in ("stored", "not_sent")
                    stored.extend([value] if delivery == "stored" else [])
                    return producer.problem() is not None

                await eventually(is_refused, what="the right is gone")
                problem = str(producer.problem())
                assert f"the user needs the operation Write on topic {write.name}" in problem
                assert command(config, write) in problem
                assert PASSWORD not in problem
                await asyncio.to_thread(secured_broker.grant, user_of(config), taken)

                async def is_stored() -> bool:
                    value = b"again %d" % len(stored)
                    (delivery,) = await producer.send([record(value)])
                    assert delivery in ("stored", "not_sent")
                    stored.extend([value] if delivery == "stored" else [])
                    return delivery == "stored"

                await eventually(is_stored, what="it is stored again", timeout_s=60)
                assert producer.problem() is None
        found = [value for _, value in await visible(secured_broker.direct_servers, config.topics.raw)]
        assert found == stored

    asyncio.run(scenario())


def test_a_refused_login_is_named_and_a_corrected_one_is_used(
    config: Config, secured_broker: SecuredBroker
) -> None:
    file = config.kafka.sasl_password.file
    assert file is not None
    file.write_text("a wrong one")

    async def scenario() -> None:
        kafka = structs.replace(config.kafka, sasl_password=Secret.read(file))
        wrong = structs.replace(config, kafka=kafka)
        with pytest.raises(LoginRefused):
            await kafka_topics.check_collect(wrong)
        async with started(wrong) as producer:

            async def is_refused() -> bool:
                return "refuses the login" in str(producer.problem())

            await eventually(is_refused, what="the refused login is named")
            assert await producer.send([record(b"early")]) == ["not_sent"]
            file.write_text(PASSWORD)
            await becomes_ready(producer, 0, 1)
            assert producer.problem() is None
            assert await producer.send([record(b"after")]) == ["stored"]

    asyncio.run(scenario())
