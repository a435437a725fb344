"""The topics as the brokers have them: describe, create.

Decides how the brokers are asked and how their refusals read; ``topic_rules`` decides what topics must be
like. Asking never creates a topic: aiokafka's metadata request for named topics would, so all are listed and
ours picked out. Invariant: topics that exist are never changed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidReplicationFactorError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)
from msgspec import Struct

from worker.adapters.kafka.answers import Grants
from worker.adapters.kafka.collect_rules import all_problems, collect_problems
from worker.adapters.kafka.rights import missing_collect_rights, missing_rights
from worker.adapters.kafka.security import client_options, login_of
from worker.adapters.kafka.topic_rules import (
    Problem,
    Topic,
    depends_on_group,
    names_to_know,
    problems,
    replication_warnings,
    settings,
)
from worker.config import Config, Kafka
from worker.errors import BrokersAway, Fatal

ASK_WITHIN_S = 8.0
CREATE_WITHIN_S = 30.0
SEEN_WITHIN_S = 5.0
TRANSACTION_STATE = "__transaction_state"
"""The brokers' own topic of transactions: exactly once rests on its replicas too."""
_FEWER_REPLICAS = " Remedy: --replication-factor N, of at most the number of brokers"
_DENIED = (TopicAuthorizationFailedError.errno, ClusterAuthorizationFailedError.errno)


class WrongPartitionCount(Exception):  # noqa: N818 - the caller's wish, not a failure
    """The number of partitions asked for is missing, or is not the raw topic's. Remedy: in the message."""


class Outcome(Struct, frozen=True, kw_only=True):
    """A topic after ``create``: as it is now, and whether it is new."""

    topic: Topic
    created: bool


async def partition_counts(kafka: Kafka, names: Iterable[str]) -> dict[str, int]:
    """How many partitions each of these topics has, of those that exist.

    Raises ``Fatal`` when no broker answers in ``ASK_WITHIN_S``.
    """
    wanted = set(names)
    async with _admin(kafka, within_s=ASK_WITHIN_S) as client:
        found = await client.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in found if topic["topic"] in wanted}


async def check(config: Config, *, collects: bool = False) -> tuple[dict[str, Topic], list[Problem]]:
    """The worker's topics by name, and what is missing, wrong or unwise; rights too.

    ``collects``: check for a collector as well. Raises ``Fatal`` as ``partition_counts``.
    """
    names = names_to_know(config)
    async with _admin(config.kafka, within_s=ASK_WITHIN_S) as client:
        found = await _describe(client, [*names, TRANSACTION_STATE])
        topics = {name: topic for name, topic in found.items() if name in names}
        committed = await _committed(client, config) if depends_on_group(names - found.keys(), config) else ()
        missing = await missing_rights(client, config, topics)
        if collects:
            missing += await missing_collect_rights(client, config)
    hidden = {right.name for right in missing if right.hidden}
    of_collector = collect_problems(topics.get(config.topics.raw), config) if collects else ()
    wrong = [*problems(topics, config, committed), *of_collector]
    return topics, [
        *[right.problem(config.kafka) for right in missing],
        *[problem for problem in wrong if problem.topic not in hidden],
        *replication_warnings(found.values()),
    ]


async def check_collect(config: Config) -> list[Problem]:
    """What is missing, wrong or unwise for a collector, the fatal first: its topic and its rights.

    Raises ``BrokersAway`` when no broker answers in ``ASK_WITHIN_S``, of which ``LoginRefused`` is one; and
    ``Fatal`` where the login was refused too often.
    """
    async with _admin(config.kafka, within_s=ASK_WITHIN_S) as client:
        raw = (await _describe(client, [config.topics.raw])).get(config.topics.raw)
        missing = await missing_collect_rights(client, config)
    found = [right.problem(config.kafka) for right in missing]
    if not any(right.hidden for right in missing):
        found += all_problems(raw, config)
    return sorted(found, key=lambda problem: not problem.fatal)


async def create(config: Config, *, partitions: int | None, replication_factor: int = -1) -> list[Outcome]:
    """Create the topics that do not exist yet, each with as many partitions as the raw topic.

    ``partitions`` is needed when the raw topic is created too, and else must be its number or None.
    A ``replication_factor`` of -1 is the brokers' default. Raises ``WrongPartitionCount`` before anything is
    created, and ``Fatal`` when no broker answers or a topic is refused.
    """
    names = config.topic_names
    async with _admin(config.kafka, within_s=CREATE_WITHIN_S) as client:
        before = await _describe(client, names.values())
        raw = before.get(names["raw"])
        count = _partition_count(names["raw"], raw, partitions)
        wanted = [
            NewTopic(
                name,
                count,
                replication_factor,
                # aiokafka wants this one given exactly when the brokers choose the factor.
                replica_assignments={} if replication_factor == -1 else None,
                topic_configs=settings(role, config, raw, replication_factor),
            )
            for role, name in names.items()
            if name not in before
        ]
        new = await _create(client, wanted, config.kafka) if wanted else set()
        after = await _describe(client, names.values())
        deadline = asyncio.get_running_loop().time() + SEEN_WITHIN_S
        while len(after) < len(names):  # the broker we ask does not know them yet
            if asyncio.get_running_loop().time() > deadline:
                unseen = ", ".join(sorted(set(names.values()) - after.keys()))
                needs = Grants.of(config.kafka).needed("Describe", "topic", unseen)
                raise Fatal(f"{unseen}: created, but may not be seen: {needs}")
            await asyncio.sleep(0.1)
            after = await _describe(client, names.values())
    return [Outcome(topic=after[name], created=name in new) for name in names.values()]


def _partition_count(name: str, raw: Topic | None, wanted: int | None) -> int:
    if raw is None and wanted is None:
        raise WrongPartitionCount(f"{name} does not exist yet: say with --partitions how many it is to have")
    if raw is not None and wanted not in (None, raw.partitions):
        raise WrongPartitionCount(
            f"{name} has {raw.partitions} partitions, and new topics get as many: leave --partitions out"
        )
    return raw.partitions if raw is not None else wanted or 0


async def _create(client: AIOKafkaAdminClient, wanted: list[NewTopic], kafka: Kafka) -> set[str]:
    response = await client.create_topics(wanted, timeout_ms=int(CREATE_WITHIN_S * 1000))
    created = {name for name, code, _ in response.topic_errors if code == 0}
    denied = sorted(name for name, code, _ in response.topic_errors if code in _DENIED)
    causes: dict[str, list[str]] = {}
    for name, code, message in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno, *_DENIED):
            remedy = _FEWER_REPLICAS if code == InvalidReplicationFactorError.errno else ""
            causes.setdefault(f"{message or f'error code {code}'}{remedy}", []).append(name)
    refused = [f"{', '.join(names)}: {cause}" for cause, names in causes.items()]
    if denied:
        topics = ", ".join(denied)
        refused.append(f"{topics}: {Grants.of(kafka).needed('Create', 'topic', topics)}")
    if refused:
        done = f" ({', '.join(sorted(created))} created)" if created else ""
        raise Fatal(f"the brokers refuse to create {'; '.join(refused)}{done}")
    return created


async def _describe(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, Topic]:
    wanted = set(names)
    found = [topic for topic in await client.describe_topics() if topic["topic"] in wanted]
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic["topic"]) for topic in found]
    readable: dict[str, dict[str, str]] = {}
    if resources:
        for response in await client.describe_configs(resources):
            for code, _message, _type, name, entries in response.resources:
                if code == 0:
                    readable[name] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
    return {
        topic["topic"]: Topic(
            name=topic["topic"],
            partitions=len(topic["partitions"]),
            replication_factor=min((len(p["replicas"]) for p in topic["partitions"]), default=0),
            settings=readable.get(topic["topic"]),
        )
        for topic in found
    }


async def _committed(client: AIOKafkaAdminClient, config: Config) -> set[str]:
    """The topics of which the group has committed offsets; none where that cannot be known."""
    try:
        known = await client.list_consumer_group_offsets(config.kafka.group_id)
    except KafkaError:  # no coordinator yet, as on new brokers; or no right, which is reported by itself
        return set()
    return {partition.topic for partition in known}


@asynccontextmanager
async def _admin(kafka: Kafka, *, within_s: float) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected client; everything done with it together is bounded by ``within_s``.

    Raises BrokersAway, of which LoginRefused is one, and Fatal where the login was refused too often.
    """
    client = AIOKafkaAdminClient(**client_options(kafka), request_timeout_ms=int(within_s * 500))
    with _swallowed() as causes:
        try:
            async with asyncio.timeout(within_s):
                await client.start()
                yield client
        except (KafkaError, OSError, TimeoutError) as error:
            login = login_of(kafka)
            if login is not None:
                login.check()
                if (refused := login.newest_refusal()) is not None:
                    raise refused from error
            raise BrokersAway(
                f"cannot talk to the brokers at {kafka.bootstrap_servers} as {kafka.security_protocol} "
                f"(kafka.bootstrap_servers, kafka.security_protocol) within {within_s:.0f} s: "
                f"{'; '.join(dict.fromkeys(causes)) or error or 'no answer'}"
            ) from error
        finally:
            await client.close()


@contextmanager
def _swallowed() -> Iterator[list[str]]:
    """Collect what aiokafka logs instead of raising, and keep it from the screen.

    Why a connection failed is only ever in its log: ``bootstrap`` says "Unable to bootstrap from [...]".
    """
    causes: list[str] = []
    logger = logging.getLogger("aiokafka")
    handler = _Collector(causes)
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield causes
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        # A connection closed during a handshake, and a timeout, are errors without any text.
        silent = message.endswith(": ")
        self.messages.append(f"{message}closed, or no answer" if silent else message)
