"""The rights that the worker needs, which of them the brokers deny it, and the commands that grant them.

Decides what is asked for and how: nothing that is asked changes anything, and none of it needs a right on
the cluster, as reading the rules themselves would. Knows aiokafka's requests; nothing of settings. Invariant:
what ``run`` does with a topic, the group or a transactional id is in ``OPERATIONS`` or in
``missing_rights``, what ``collect`` does in ``missing_collect_rights``, and docs/operations.md, Security,
says the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion
from msgspec import Struct, structs

from worker.adapters.kafka.answers import (
    CLUSTER_AUTHORIZATION_FAILED,
    GROUP_AUTHORIZATION_FAILED,
    TOPIC_AUTHORIZATION_FAILED,
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    Grants,
    resource_options,
    right_needed,
)
from worker.adapters.kafka.client_internals.protocol import (
    add_offsets_error,
    heartbeat_error,
    init_producer_id_error,
    topic_operations,
)
from worker.adapters.kafka.topic_rules import Problem, Topic
from worker.config import Config, Kafka
from worker.model.topics import TOPICS, Kind

Operation = Literal["Read", "Write", "IdempotentWrite"]

OPERATIONS: Mapping[Kind, tuple[Operation, ...]] = {
    "input": ("Read",),
    "internal": ("Read", "Write"),
    "output": ("Write",),
}
"""What is done with a topic. Either operation implies Describe."""

CLUSTER = "kafka-cluster"
"""The name that every cluster has among the resources that rights are on."""

_BITS: Mapping[Operation, int] = {"Read": 1 << 3, "Write": 1 << 4, "IdempotentWrite": 1 << 12}
_SENT: tuple[Operation, ...] = ("Write",)
_NOT_REPORTED = -(2**31)
_NO_MEMBER = "nobody"
_NO_PRODUCER_ID = -1


class Missing(Struct, frozen=True):
    """Operations that are denied on one topic, on the group, on transactional ids, or on the cluster.

    ``hidden``: the topic may not even be seen.
    """

    kind: Literal["topic", "group", "transactional id", "cluster"]
    name: str
    operations: tuple[Operation, ...]
    hidden: bool = False
    stops: Literal["worker", "collector"] = "worker"

    def problem(self, kafka: Kafka) -> Problem:
        """In words, with the command that grants it."""
        needs = right_needed(self.operations, self.kind, self.name)
        return Problem(
            topic=self.name if self.kind == "topic" else f"{self.kind} {self.name}",
            what=f"may not be seen: {needs}" if self.hidden else needs,
            remedy=Grants.of(kafka).command(
                " --operation ".join(self.operations), resource_options(self.kind, self.name)
            ),
            fatal=True,
            stops=self.stops,
        )


async def missing_rights(
    client: AIOKafkaAdminClient, config: Config, topics: Mapping[str, Topic]
) -> list[Missing]:
    """The rights that the brokers deny; ``topics`` are those that may be seen. Raises the client's errors."""
    missing = [*await _denied_topics(client, _needed(config, topics))]
    group_id, raw = config.kafka.group_id, topics.get(config.topics.raw)
    # Nobody's heartbeat is answered with "unknown member"; but before that, whether we may ask.
    if await heartbeat_error(client, group_id, _NO_MEMBER) == GROUP_AUTHORIZATION_FAILED:
        missing.append(Missing("group", group_id, ("Read",)))
    for partition in sorted({0, raw.partitions - 1 if raw else 0}):
        # The same with a producer id that nobody has: no transaction is begun, and nobody is fenced.
        name = f"{group_id}/{partition}"
        code = await add_offsets_error(client, name, _NO_PRODUCER_ID, group_id)
        if code == TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            missing.append(Missing("transactional id", name, ("Write",)))
            break
    return missing


async def missing_collect_rights(client: AIOKafkaAdminClient, config: Config) -> list[Missing]:
    """The rights that the brokers deny a collector. Raises the client's errors."""
    raw = config.topics.raw
    missing = [
        structs.replace(each, stops="collector") for each in await _denied_topics(client, {raw: _SENT})
    ]
    # Since Kafka 2.8 who may write to any topic may be an idempotent producer.
    if not missing and await init_producer_id_error(client) == CLUSTER_AUTHORIZATION_FAILED:
        missing.append(Missing("cluster", CLUSTER, ("IdempotentWrite",), stops="collector"))
    return missing


def _needed(config: Config, topics: Mapping[str, Topic]) -> dict[str, tuple[Operation, ...]]:
    needed = {name: OPERATIONS[TOPICS[role].kind] for role, name in config.topic_names.items()}
    if config.repartition_topic in topics:  # where it exists it is read, whatever is sent to it
        needed.setdefault(config.repartition_topic, ("Read",))
    return needed


async def _denied_topics(
    client: AIOKafkaAdminClient, needed: Mapping[str, tuple[Operation, ...]]
) -> Iterable[Missing]:
    try:
        answered = await topic_operations(client, [*needed])
    except (IncompatibleBrokerVersion, NotImplementedError):  # before Kafka 2.3: then `run` meets them
        return []
    return _denied(answered, needed)


def _denied(
    answered: Mapping[str, tuple[int, int]], needed: Mapping[str, tuple[Operation, ...]]
) -> Iterator[Missing]:
    for name, (code, granted) in answered.items():
        if code == TOPIC_AUTHORIZATION_FAILED:
            yield Missing("topic", name, needed[name], hidden=True)
        elif not code and granted != _NOT_REPORTED:
            denied = tuple(operation for operation in needed[name] if not granted & _BITS[operation])
            if denied:
                yield Missing("topic", name, denied)
