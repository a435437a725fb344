"""The rights that an authorizer can grant, and those that docs/operations.md lists for a worker.

Decides what the list means in ACLs, and how they are granted and taken away. Invariant: what is taken away is
exactly what was granted, so that a test may take one right and give it again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from worker.config import Config

Kind = Literal["topic", "group", "transactional_id", "cluster"]
_KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional_id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,
}
_WITHIN_S = 20.0


@dataclass(frozen=True)
class Right:
    """One operation on one resource, or on all whose names begin so. ``operation`` as Kafka spells it."""

    kind: Kind
    name: str
    operation: str
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}{'...' if self.prefixed else ''}"


def of_worker(config: Config) -> list[Right]:
    """What ``run`` needs, to the letter of docs/operations.md."""
    names, group_id = config.topic_names, config.kafka.group_id
    rights = [Right("group", group_id, "Read")]
    for role, topic in names.items():
        if role in ("raw", "changelog", "repartition"):
            rights.append(Right("topic", topic, "Read"))
        if role != "raw":
            rights.append(Right("topic", topic, "Write"))
        rights.append(Right("topic", topic, "Describe"))
        rights.append(Right("topic", topic, "DescribeConfigs"))
    rights.append(Right("transactional_id", f"{group_id}/", "Write", prefixed=True))
    rights.append(Right("transactional_id", f"{group_id}/", "Describe", prefixed=True))
    return rights


def of_collector(config: Config) -> list[Right]:
    """What ``collect`` needs."""
    return [Right("topic", config.topics.raw, each) for each in ("Write", "Describe", "DescribeConfigs")]


def of_topics_create(config: Config) -> list[Right]:
    """What ``topics create`` needs besides."""
    return [Right("topic", topic, "Create") for topic in config.topic_names.values()]


def grant(admin: AdminClient, user: str, rights: Iterable[Right]) -> None:
    """Grant these; returns when the broker has said so."""
    for future in admin.create_acls([_binding(user, right) for right in rights]).values():
        future.result(_WITHIN_S)


def take_away(admin: AdminClient, user: str, rights: Iterable[Right]) -> None:
    """Take these away; fails where one was not granted."""
    filters = {_filter(user, right): right for right in rights}
    for wanted, future in admin.delete_acls(list(filters)).items():
        assert future.result(_WITHIN_S), f"{filters[wanted]} was not granted to {user}"


def _binding(user: str, right: Right) -> AclBinding:
    return AclBinding(*_fields(user, right))


def _filter(user: str, right: Right) -> AclBindingFilter:
    return AclBindingFilter(*_fields(user, right))


def _fields(user: str, right: Right) -> tuple[object, ...]:
    words = "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in right.operation)
    return (
        _KINDS[right.kind],
        right.name,
        ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation[words.removeprefix("_")],
        AclPermissionType.ALLOW,
    )
