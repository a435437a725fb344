"""The rights that the worker needs, which of them the brokers deny it, and the commands that grant them.

Decides what is asked for and how: nothing that is asked changes anything, and none of it needs a right on
the cluster, as reading the rules themselves would. Knows aiokafka's requests; nothing of settings. Invariant:
what ``run`` does with a topic, the group or a transactional id is in ``OPERATIONS`` or in
``missing_rights``, and docs/operations.md, Security, says the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.transaction import AddOffsetsToTxnRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String
from msgspec import Struct

from worker.adapters.kafka.answers import (
    GROUP_AUTHORIZATION_FAILED,
    TOPIC_AUTHORIZATION_FAILED,
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    Grants,
    resource_options,
)
from worker.adapters.kafka.topic_rules import Problem, Topic
from worker.config import Config, Kafka
from worker.model.topics import TOPICS, Kind

Operation = Literal["Read", "Write"]

OPERATIONS: Mapping[Kind, tuple[Operation, ...]] = {
    "input": ("Read",),
    "internal": ("Read", "Write"),
    "output": ("Write",),
}
"""What is done with a topic. Either operation implies Describe."""

_BITS: Mapping[Operation, int] = {"Read": 1 << 3, "Write": 1 << 4}
_NOT_TOLD = -(2**31)
_NO_MEMBER = "nobody"
_NO_PRODUCER_ID = -1


class Missing(Struct, frozen=True):
    """Operations that are denied on one topic, on the group, or on transactional ids. ``hidden``: the topic
    may not even be seen.
    """

    kind: Literal["topic", "group", "transactional id"]
    name: str
    operations: tuple[Operation, ...]
    hidden: bool = False

    def problem(self, kafka: Kafka) -> Problem:
        """As a human reads it, with the command that grants it."""
        operations = " and ".join(self.operations)
        lacks = f"the user lacks the operation{'s' * (len(self.operations) > 1)} {operations}"
        return Problem(
            topic=self.name if self.kind == "topic" else f"{self.kind} {self.name}",
            what=f"may not be seen: {lacks}" if self.hidden else lacks,
            remedy=Grants.of(kafka).command(
                " --operation ".join(self.operations), resource_options(self.kind, self.name)
            ),
            fatal=True,
        )


async def missing_rights(
    client: AIOKafkaAdminClient, config: Config, topics: Mapping[str, Topic]
) -> list[Missing]:
    """The rights that the brokers deny; ``topics`` are those that may be seen. Raises the client's errors."""
    missing = [*await _denied_topics(client, _needed(config, topics))]
    group_id, raw = config.kafka.group_id, topics.get(config.topics.raw)
    # Nobody's heartbeat is answered with "unknown member"; but before that, whether we may ask.
    answer = await client._send_request(HeartbeatRequest(group_id, -1, _NO_MEMBER))
    if answer.error_code == GROUP_AUTHORIZATION_FAILED:
        missing.append(Missing("group", group_id, ("Read",)))
    for partition in sorted({0, raw.partitions - 1 if raw else 0}):
        # The same with a producer id that nobody has: no transaction is begun, and nobody is fenced.
        name = f"{group_id}/{partition}"
        answer = await client._send_request(AddOffsetsToTxnRequest(name, _NO_PRODUCER_ID, 0, group_id))
        if answer.error_code == TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            missing.append(Missing("transactional id", name, ("Write",)))
            break
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
        answer = await client._send_request(_TopicOperationsRequest(list(needed)))
    except (IncompatibleBrokerVersion, NotImplementedError):  # before Kafka 2.3: then `run` meets them
        return []
    return _denied(answer.topics, needed)


def _denied(
    answered: Iterable[tuple[int, str, bool, object, int]], needed: Mapping[str, tuple[Operation, ...]]
) -> Iterator[Missing]:
    for code, name, _internal, _partitions, granted in answered:
        if code == TOPIC_AUTHORIZATION_FAILED:
            yield Missing("topic", name, needed[name], hidden=True)
        elif not code and granted != _NOT_TOLD:
            denied = tuple(operation for operation in needed[name] if not granted & _BITS[operation])
            if denied:
                yield Missing("topic", name, denied)


class _TopicOperationsResponse(Response):  # type: ignore[misc]  # the client is untyped
    """Metadata as of version 8, which aiokafka does not have."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _TopicOperationsStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _TopicOperationsResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _TopicOperationsRequest(Request[_TopicOperationsStruct]):  # type: ignore[misc]
    """Which operations we may do on these topics; none of them is made by asking."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_TopicOperationsStruct]) -> _TopicOperationsStruct:
        return request_struct_class(self._topics, False, False, True)
