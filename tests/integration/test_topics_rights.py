"""``topics create`` by a user who may not create topics."""

import asyncio
from pathlib import Path

import pytest

from testing.kafka import rights
from testing.kafka.rights import Right
from testing.kafka.secured_broker import SecuredBroker
from tests.chaos.deployment import Deployment
from worker.adapters.kafka import topics as kafka_topics
from worker.config import Config, load
from worker.errors import Fatal

PASSWORD = "scram-Pa55word-of-the-tests"


@pytest.fixture
def own(secured_broker: SecuredBroker, topic_prefix: str, tmp_path: Path) -> Config:
    """The configuration of a user who may do what a worker does, and no more."""
    user, file = f"{topic_prefix}user", tmp_path / "password"
    secured_broker.set_password(user, PASSWORD)
    file.write_text(PASSWORD)
    options = secured_broker.scram_options(user, file)
    with Deployment(secured_broker.direct_servers, topic_prefix, tmp_path, options) as deployment:
        config = load(None, deployment.environment)
    secured_broker.grant(user, rights.of_worker(config))
    return config


def create(config: Config) -> list[kafka_topics.Outcome]:
    return asyncio.run(kafka_topics.create(config, partitions=1))


def test_the_missing_right_is_named_with_the_command_that_grants_it(
    own: Config, secured_broker: SecuredBroker, topic_prefix: str
) -> None:
    user = f"{topic_prefix}user"
    names = [name for name in own.topic_names.values() if name != own.repartition_topic][:4]
    with pytest.raises(Fatal) as refused:
        create(own)
    reason = str(refused.value)
    assert "the user needs the operation Create on topic " in reason
    assert (
        f"kafka-acls.sh --bootstrap-server {secured_broker.sasl_servers} --add --allow-principal " in reason
    )
    assert f"User:{user} --operation Create --topic " in reason
    assert all(f"--topic {name}" in reason for name in names)
    assert PASSWORD not in reason

    secured_broker.grant(user, [Right("topic", name, "Create") for name in names])
    with pytest.raises(Fatal) as partly:
        create(own)
    assert f"--topic {own.repartition_topic}" in str(partly.value)
    assert f"{', '.join(sorted(names))} created)" in str(partly.value)

    secured_broker.grant(user, [Right("cluster", "kafka-cluster", "Create")])
    left = set(own.topic_names.values()) - set(names)
    assert {outcome.topic.name for outcome in create(own) if outcome.created} == left
