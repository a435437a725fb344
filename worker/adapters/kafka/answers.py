"""Errors in the brokers' answers: which of them no retry fixes, and how they read.

Decides which errors are permanent, and their text: what was asked, the error by Kafka's name, the right that
is missing. Knows nothing of transactions. Invariant: an error is reported of the topic, group or id that its
answer names, never of what a caller happened to wait for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError, for_code
from msgspec import Struct

from worker.adapters.kafka.client_internals.protocol import (
    ADD_PARTITIONS,
    COMMIT_OFFSETS,
    INIT_PRODUCER_ID,
    PRODUCE,
    error_codes,
)
from worker.config import Kafka
from worker.errors import TransactionLost

_OPERATION_NOT_ATTEMPTED = 55  # of the other partitions of a request that was refused for one
UNKNOWN_TOPIC, TOPIC_AUTHORIZATION_FAILED = 3, 29
GROUP_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED = 30, 31
TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53

_PERMANENT: dict[int, str] = {
    2: "CorruptMessage",
    10: "MessageSizeTooLarge: a larger max.message.bytes of the topic would take it",
    12: "OffsetMetadataTooLarge",
    17: "InvalidTopic",
    18: "RecordListTooLarge: a larger segment.bytes of the topic would take it",
    24: "InvalidGroupId",
    28: "InvalidCommitOffsetSize",
    TOPIC_AUTHORIZATION_FAILED: "TopicAuthorizationFailed",
    GROUP_AUTHORIZATION_FAILED: "GroupAuthorizationFailed",
    CLUSTER_AUTHORIZATION_FAILED: "ClusterAuthorizationFailed: the user needs the operation IdempotentWrite "
    "on the cluster",
    32: "InvalidTimestamp: message.timestamp.before.max.ms and after.max.ms of the topic refuse it",
    35: "UnsupportedVersion",
    42: "InvalidRequest",
    43: "UnsupportedForMessageFormat",
    44: "PolicyViolation",
    50: "InvalidTransactionTimeout: kafka.transaction_timeout_ms is above the brokers' transaction.max."
    "timeout.ms",
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "TransactionalIdAuthorizationFailed",
    54: "SecurityDisabled",
    76: "UnsupportedCompressionType: the topic does not take kafka.compression",
    87: "InvalidRecord: the topic takes no such record (cleanup.policy=compact without a key?)",
}
"""The errors that no retry fixes; where one change would fix it, with that."""


class BrokerError(Struct, frozen=True):
    """One error in an answer. ``topic`` is "" where the error is of none."""

    request: int
    code: int
    topic: str = ""

    @property
    def refused(self) -> bool:
        """Whether a retry would be answered the same."""
        return self.code in _PERMANENT

    def text(self, group_id: str, transactional_id: str, grants: "Grants") -> str:
        """What was asked, and the error; for a missing right, the command that grants it."""
        if self.code == UNKNOWN_TOPIC:
            error = "there is no such topic"
        else:
            error = _PERMANENT.get(self.code) or f"{for_code(self.code).__name__} ({self.code})"
        request = {
            PRODUCE: f"send to {self.topic}",
            ADD_PARTITIONS: f"send to {self.topic}",
            COMMIT_OFFSETS: f"commit offsets of {self.topic}",
            INIT_PRODUCER_ID: "fence",
        }.get(self.request, "transaction")
        operation = "Read" if self.request == COMMIT_OFFSETS else "Write"
        needs = {
            TOPIC_AUTHORIZATION_FAILED: grants.needed(operation, "topic", self.topic),
            GROUP_AUTHORIZATION_FAILED: grants.needed("Read", "group", group_id),
            TRANSACTIONAL_ID_AUTHORIZATION_FAILED: grants.needed(
                "Write", "transactional id", transactional_id
            ),
        }.get(self.code)
        return f"{request}: {error}" if needs is None else f"{request}: {error}: {needs}"


def client_refusal(error: Exception | None, topic: str | None) -> BrokerError | None:
    """The refusal that the client raises at a send to ``topic`` from an earlier answer; None for others."""
    code = getattr(error, "errno", 0)
    if topic is None or not (code in _PERMANENT or code == UNKNOWN_TOPIC):
        return None
    return BrokerError(PRODUCE, code, topic)


def read_failure(what: str, error: BaseException, topic: str, grants: "Grants") -> TransactionLost:
    """The error of a failed question about ``topic``, or about the group's offsets of it."""
    if isinstance(error, TopicAuthorizationFailedError):
        needs = grants.needed("Read", "topic", topic)
    elif isinstance(error, GroupAuthorizationFailedError):
        needs = grants.needed("Read", "group", str(error.args[0]))
    else:
        return TransactionLost(f"{what}: {type(error).__name__}: {error}")
    return TransactionLost(f"{what}: {needs}", refused=True)


def broker_errors_in(response: Any) -> Iterator[BrokerError]:
    """The errors in an answer to a request of a transaction, in its order; in other answers none."""
    for request, topic, code in error_codes(response):
        if code not in (0, _OPERATION_NOT_ATTEMPTED):
            yield BrokerError(request, code, topic)


class Grants(Struct, frozen=True):
    """Where rights are granted, and to whom: what a message about a missing right needs besides.

    ``user`` is empty for a certificate or a token: only the brokers know that name.
    """

    bootstrap_servers: str
    user: str

    @classmethod
    def of(cls, kafka: Kafka) -> Self:
        """By the configuration."""
        return cls(kafka.bootstrap_servers, kafka.sasl_username)

    def needed(self, operation: str, kind: str, name: str) -> str:
        """The words for a missing right, with the command that grants it."""
        command = self.command(operation, resource_options(kind, name))
        return f"{right_needed([operation], kind, name)}. Remedy: {command}"

    def command(self, operation: str, resource: str) -> str:
        """The command that grants the operation to our user. ``resource``: as its options say it."""
        user = f"User:{self.user}" if self.user else "'User:<as the brokers call it>'"
        return (
            f"kafka-acls.sh --bootstrap-server {self.bootstrap_servers} --add --allow-principal {user} "
            f"--operation {operation} {resource}"
        )


def grants_of(client: Mapping[str, Any]) -> Grants:
    """By the options of a client."""
    servers = client["bootstrap_servers"]
    addresses = servers if isinstance(servers, str) else ",".join(servers)
    return Grants(addresses, client.get("sasl_plain_username", ""))


def right_needed(operations: Sequence[str], kind: str, name: str) -> str:
    """The words for a missing right, the same wherever one is found. ``name`` as for ``resource_options``."""
    plural = "s" if len(operations) > 1 else ""
    return f"the user needs the operation{plural} {' and '.join(operations)} on {kind} {name}"


def resource_options(kind: str, name: str) -> str:
    """How kafka-acls.sh names the cluster, a group, topics (with commas between), or the prefix of
    transactional ids.
    """
    if kind == "cluster":
        return "--cluster"
    if kind == "transactional id":
        return f"--transactional-id {name.rpartition('/')[0]}/ --resource-pattern-type prefixed"
    return " ".join(f"--{kind} {one}" for one in name.split(", "))
