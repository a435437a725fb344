"""`topics create` and `check` against a real broker: what one makes, the other finds right."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from testing.kafka.broker import LocalBroker
from testing.wait import eventually
from tests.conftest import Kafka
from worker.adapters.kafka import topics as kafka_topics
from worker.adapters.kafka.topic_rules import UNLIMITED, Problem, Topic
from worker.cli.main import main
from worker.config import Config, load, topic_variables
from worker.errors import Fatal
from worker.model.topics import OUTPUTS, TOPICS


@pytest.fixture
def variables(kafka: Kafka, topic_prefix: str) -> dict[str, str]:
    """A configuration whose topics are this test's alone."""
    return {
        "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "SESSIONIZER_KAFKA_GROUP_ID": f"{topic_prefix}group",
        **topic_variables(topic_prefix),
    }


@pytest.fixture
def config(variables: dict[str, str]) -> Config:
    return load(None, variables)


def checked(config: Config) -> tuple[dict[str, Topic], list[Problem]]:
    """What `check` finds, without its warning that the broker of the tests is the only one."""
    topics, found = asyncio.run(kafka_topics.check(config))
    unwise = [problem for problem in found if problem.unwise]
    assert all("replication factor 1" in problem.what for problem in unwise)
    return topics, [problem for problem in found if problem not in unwise]


@asynccontextmanager
async def admin(config: Config) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=config.kafka.bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def make_by_hand(config: Config, name: str, partitions: int, **settings: str) -> None:
    async with admin(config) as client:
        topic_configs = {key.replace("_", "."): value for key, value in settings.items()}
        await client.create_topics([NewTopic(name, partitions, 1, topic_configs=topic_configs)])
    await until_known(config, name, partitions)


async def until_known(config: Config, name: str, partitions: int) -> None:
    """The controller answers before the broker knows what was made."""

    async def known() -> bool:
        return await kafka_topics.partition_counts(config.kafka, [name]) == {name: partitions}

    await eventually(known, what=f"{name} has {partitions} partitions")


def created(outcomes: list[kafka_topics.Outcome]) -> set[str]:
    return {outcome.topic.name for outcome in outcomes if outcome.created}


def test_all_topics_are_made_as_the_worker_needs_them(config: Config) -> None:
    names = config.topic_names
    outcomes = asyncio.run(kafka_topics.create(config, partitions=3))
    assert created(outcomes) == set(names.values())
    topics, problems = checked(config)
    assert problems == []
    assert {topic.partitions for topic in topics.values()} == {3}
    changelog = topics[names["changelog"]].settings
    assert changelog is not None
    assert changelog["cleanup.policy"] == "compact"
    assert changelog["delete.retention.ms"] == "604800000"
    assert changelog["segment.bytes"] == "67108864"
    for role in (*OUTPUTS, "changelog"):
        settings = topics[names[role]].settings
        assert settings is not None
        assert settings["cleanup.policy"] == TOPICS[role].cleanup
        assert settings["message.timestamp.type"] == "CreateTime"
        assert settings["message.timestamp.after.max.ms"] == str(UNLIMITED)
        assert settings["message.timestamp.before.max.ms"] == str(UNLIMITED)


def test_what_is_as_old_as_raw_allows_is_taken_and_kept(kafka_jars: Path, tmp_path: Path) -> None:
    """Records of ten days ago, at a broker that refuses and deletes such old ones by default."""
    day_ms = 86_400_000
    broker_settings = {
        "log.retention.ms": 7 * day_ms,
        "log.message.timestamp.before.max.ms": 7 * day_ms,
        "log.initial.task.delay.ms": 500,
        "log.retention.check.interval.ms": 500,
    }
    with LocalBroker(kafka_jars, tmp_path / "broker", settings=broker_settings) as broker:
        config = load(None, {"SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers})
        old_ones = {"message_timestamp_before_max_ms": str(UNLIMITED)}
        asyncio.run(make_by_hand(config, config.topics.raw, 1, retention_ms=str(30 * day_ms), **old_ones))
        asyncio.run(make_by_hand(config, "control", 1, **old_ones))
        asyncio.run(kafka_topics.create(config, partitions=None))
        assert checked(config)[1] == []
        outputs = [config.topics.enriched, config.topics.dead_letters]
        asyncio.run(_send_all_of_ten_days_ago(broker.bootstrap_servers, [*outputs, "control"]))
        assert asyncio.run(_records_once_the_control_is_deleted(broker.bootstrap_servers, outputs)) == [1, 1]


async def _send_all_of_ten_days_ago(servers: str, topics: list[str]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    try:
        for topic in topics:
            ten_days_ago_ms = int(time.time() * 1000) - 10 * 86_400_000
            await producer.send_and_wait(topic, b"old", partition=0, timestamp_ms=ten_days_ago_ms)
    finally:
        await producer.stop()


async def _records_once_the_control_is_deleted(servers: str, topics: list[str]) -> list[int]:
    """How many records each topic still has, after a check of retention that deleted those of ``control``
    and then others, so that every topic was looked at since.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=servers)
    await consumer.start()
    try:

        async def records(topic: str) -> int:
            partition = TopicPartition(topic, 0)
            first = await consumer.beginning_offsets([partition])
            return int((await consumer.end_offsets([partition]))[partition] - first[partition])

        async def is_deleted() -> bool:
            return await records("control") == 0

        for _ in range(2):  # all topics are checked in turn: after the second time each was, at least once
            await eventually(is_deleted, what="the brokers delete what is older than seven days")
            await _send_all_of_ten_days_ago(servers, ["control"])
        await eventually(is_deleted, what="they do it again")
        return [await records(topic) for topic in topics]
    finally:
        await consumer.stop()


def test_existing_topics_are_left_as_they_are_and_give_the_number_of_partitions(config: Config) -> None:
    names = config.topic_names
    asyncio.run(make_by_hand(config, names["raw"], 2))
    asyncio.run(make_by_hand(config, names["enriched"], 2, retention_ms="1234567"))
    outcomes = asyncio.run(kafka_topics.create(config, partitions=None))
    assert created(outcomes) == set(names.values()) - {names["raw"], names["enriched"]}
    assert {outcome.topic.partitions for outcome in outcomes} == {2}
    (enriched,) = [outcome.topic for outcome in outcomes if outcome.topic.name == names["enriched"]]
    assert enriched.settings is not None
    assert enriched.settings["retention.ms"] == "1234567"


def test_creating_twice_creates_once(config: Config) -> None:
    asyncio.run(kafka_topics.create(config, partitions=1))
    assert created(asyncio.run(kafka_topics.create(config, partitions=1))) == set()


def test_without_a_raw_topic_the_number_of_partitions_must_be_given(config: Config) -> None:
    with pytest.raises(kafka_topics.WrongPartitionCount, match="does not exist yet"):
        asyncio.run(kafka_topics.create(config, partitions=None))
    assert asyncio.run(kafka_topics.partition_counts(config.kafka, config.topic_names.values())) == {}


def test_another_number_of_partitions_than_raw_has_is_refused(config: Config) -> None:
    asyncio.run(make_by_hand(config, config.topics.raw, 2))
    with pytest.raises(kafka_topics.WrongPartitionCount, match="has 2 partitions"):
        asyncio.run(kafka_topics.create(config, partitions=4))
    assert config.changelog_topic not in asyncio.run(
        kafka_topics.partition_counts(config.kafka, [config.changelog_topic])
    )


def test_what_the_brokers_refuse_is_reported_once_in_their_words_with_the_remedy(config: Config) -> None:
    with pytest.raises(
        Fatal, match=r"refuse to create .*replication factor of 7.* --replication-factor N"
    ) as refused:
        asyncio.run(kafka_topics.create(config, partitions=1, replication_factor=7))
    assert str(refused.value).count("replication factor of 7") == 1


def test_asking_for_a_topic_does_not_create_it(kafka_jars: Path, tmp_path: Path) -> None:
    """Also at a broker that creates what a client merely mentions, as brokers do by default."""
    settings = {"auto.create.topics.enable": "true"}
    with LocalBroker(kafka_jars, tmp_path / "broker", settings=settings) as broker:
        config = load(None, {"SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers})
        for _ in range(2):
            topics, problems = checked(config)
            assert topics == {}
            assert len(problems) == len(config.topic_names)


def test_what_one_can_live_with_does_not_stop_the_worker(config: Config) -> None:
    asyncio.run(make_by_hand(config, config.topics.raw, 1))
    asyncio.run(make_by_hand(config, config.topics.enriched, 1, cleanup_policy="compact"))
    asyncio.run(kafka_topics.create(config, partitions=None))
    _, (problem,) = checked(config)
    assert problem.what.startswith("cleanup.policy is compact")
    assert not problem.fatal


def test_when_raw_has_grown_before_the_first_start_the_remedies_bring_the_internal_topics_after_it(
    config: Config,
) -> None:
    asyncio.run(kafka_topics.create(config, partitions=2))
    asyncio.run(_grow(config, config.topics.raw, 5))
    _, problems = checked(config)
    assert [problem.fatal for problem in problems] == [True, True]
    for problem in problems:
        name, count = problem.remedy.split("--topic ")[1].split(" --partitions ")
        asyncio.run(_grow(config, name, int(count)))
    assert checked(config)[1] == []


async def _grow(config: Config, name: str, partitions: int) -> None:
    async with admin(config) as client:
        await client.create_partitions({name: NewPartitions(partitions)})
    await until_known(config, name, partitions)


def test_brokers_that_speak_another_protocol_are_reported_within_ten_seconds(kafka: Kafka) -> None:
    config = load(
        None,
        {
            "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "SESSIONIZER_KAFKA_SECURITY_PROTOCOL": "SSL",
        },
    )

    async def ask() -> None:
        async with asyncio.timeout(10):
            await kafka_topics.check(config)

    with pytest.raises(Fatal, match=r"as SSL .*: closed, or no answer"):
        asyncio.run(ask())


def test_a_server_that_never_answers_is_given_up_within_ten_seconds() -> None:
    async def ask(address: str) -> None:
        config = load(None, {"SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": address})
        async with asyncio.timeout(10):
            await kafka_topics.check(config)

    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the connection, nobody answers
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Fatal, match=f"cannot talk to the brokers at {address}"):
            asyncio.run(ask(address))


# --- as commands -------------------------------------------------------------------------------------------


@pytest.fixture
def sessionizer(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command with this test's topics; gives exit code, output and errors."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["sessionizer", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


def test_the_commands_lead_from_nothing_to_all_right(
    sessionizer: Callable[..., tuple[int, str, str]], config: Config
) -> None:
    names = config.topic_names
    code, out, _ = sessionizer("check")
    assert code == 1
    assert f"stops the worker: {names['raw']}: does not exist, or may not be seen" in out
    assert out.count("remedy: sessionizer topics create") == 1, "one command makes all of them"
    assert "remedy: sessionizer topics create --partitions N" in out

    code, _, err = sessionizer("topics", "create")
    assert code == 2
    assert "--partitions" in err

    code, out, _ = sessionizer("topics", "create", "--partitions", "3")
    assert code == 0
    assert out.splitlines() == [f"created {name}, partitions 3, replicas 1" for name in names.values()]

    code, out, _ = sessionizer("topics", "create")
    assert code == 0
    assert out.splitlines() == [f"existed {name}, partitions 3, replicas 1" for name in names.values()]

    code, out, _ = sessionizer("check")
    assert code == 0
    assert out.count(" right ") == len(names)


def test_creating_beside_an_unfit_topic_creates_the_rest_and_ends_with_1(
    sessionizer: Callable[..., tuple[int, str, str]], config: Config
) -> None:
    asyncio.run(make_by_hand(config, config.topics.raw, 2))
    asyncio.run(make_by_hand(config, config.changelog_topic, 2))  # not compacted
    code, out, _ = sessionizer("topics", "create", "--partitions", "2")
    assert code == 1
    assert f"created {config.topics.enriched}, partitions 2" in out
    assert f"stops the worker: {config.changelog_topic}: cleanup.policy is delete" in out
    assert f"--entity-name {config.changelog_topic} --add-config cleanup.policy=compact" in out
