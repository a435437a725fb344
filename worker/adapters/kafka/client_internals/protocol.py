"""What brokers answer, and requests for which the client has no method.

Decides nothing: what an error code means is its caller's. Knows the fields of answers; nothing of topics and
rights. Invariant: no request here changes anything on a broker that others would notice.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.transaction import AddOffsetsToTxnRequest, InitProducerIdRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

PRODUCE, FIND_COORDINATOR, INIT_PRODUCER_ID, ADD_PARTITIONS, ADD_OFFSETS, END_TRANSACTION, COMMIT_OFFSETS = (
    0, 10, 22, 24, 25, 26, 28,
)  # fmt: skip
"""Kafka's numbers of the requests of a transaction."""


def error_codes(response: Any) -> list[tuple[int, str, int]]:
    """(request, topic, error code) of all parts of an answer to a request of a transaction, also of those
    without an error (0); of other answers none. The topic is "" where it is of none.

    The client decodes answers for itself only. Held by test_refused_answers.py.
    """
    request = response.API_KEY
    if request == PRODUCE:
        return [(request, topic, part[1]) for topic, parts in response.topics for part in parts]
    if request in (ADD_PARTITIONS, COMMIT_OFFSETS):
        return [(request, topic, code) for topic, parts in response.errors for _partition, code in parts]
    if request in (FIND_COORDINATOR, INIT_PRODUCER_ID, ADD_OFFSETS, END_TRANSACTION):
        return [(request, "", response.error_code)]
    return []


def error_codes_of_partitions(response: Any) -> list[tuple[int, int]]:
    """(partition, error code) of an answer to a request that produces to one topic.

    The client decodes answers for itself only. Held by test_raw_producer.py.
    """
    return [(part[0], part[1]) for _topic, parts in response.topics for part in parts]


async def heartbeat_error(admin: AIOKafkaAdminClient, group_id: str, member_id: str) -> int:
    """The error code that a heartbeat of this member is answered. Raises the client's errors.

    The admin client has no method for it, nor for the next three. Held by tests/integration/test_rights.py.
    """
    answer = await admin._send_request(HeartbeatRequest(group_id, -1, member_id))
    return int(answer.error_code)


async def add_offsets_error(
    admin: AIOKafkaAdminClient, transactional_id: str, producer_id: int, group_id: str
) -> int:
    """The error code that AddOffsetsToTxn is answered. Raises the client's errors.

    Held by tests/integration/test_rights.py.
    """
    request = AddOffsetsToTxnRequest(transactional_id, producer_id, 0, group_id)
    answer = await admin._send_request(request)
    return int(answer.error_code)


async def init_producer_id_error(admin: AIOKafkaAdminClient) -> int:
    """The error code that an idempotent producer without transactions is answered at its start.

    The brokers give it a number, which nobody uses. Raises the client's errors. Held by
    tests/integration/test_collect_rights.py.
    """
    answer = await admin._send_request(InitProducerIdRequest(None, 60_000))
    return int(answer.error_code)


async def topic_operations(
    admin: AIOKafkaAdminClient, topics: Sequence[str]
) -> Mapping[str, tuple[int, int]]:
    """By topic (error code, the operations that we may do on it as a bit field). Makes none of the topics.

    Raises the client's errors; before Kafka 2.3 that the broker is too old. Held by
    tests/integration/test_rights.py.
    """
    answer = await admin._send_request(_TopicOperationsRequest(list(topics)))
    return {name: (code, granted) for code, name, _internal, _partitions, granted in answer.topics}


class _TopicOperationsResponse(Response):  # type: ignore[misc]  # the client is untyped
    """Metadata as of version 8, which aiokafka does not have."""

    API_KEY = 3
    API_VERSION = 8
    _BROKER = Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8")))
    _PARTITION = Array(
        ("error_code", Int16),
        ("partition", Int32),
        ("leader", Int32),
        ("leader_epoch", Int32),
        ("replicas", Array(Int32)),
        ("isr", Array(Int32)),
        ("offline_replicas", Array(Int32)),
    )
    _TOPIC = Array(
        ("error_code", Int16),
        ("topic", String("utf-8")),
        ("is_internal", Boolean),
        ("partitions", _PARTITION),
        ("authorized_operations", Int32),
    )
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", _BROKER),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        ("topics", _TOPIC),
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
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_TopicOperationsStruct]) -> _TopicOperationsStruct:
        return request_struct_class(self._topics, False, False, True)
