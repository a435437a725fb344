"""What a consumer knows of the cluster, of its partitions and of its group.

Decides nothing: what a state or an error means is its caller's. Knows nothing of sources and tasks.
Invariant: nothing is cached: every call reads the client's state of that moment, or asks a broker.
"""

from collections.abc import Collection, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import LeaderNotAvailableError, for_code
from aiokafka.protocol.offset import OffsetRequest
from msgspec import Struct

__all__ = [
    "AbstractPartitionAssignor",  # what the option ``partition_assignment_strategy`` takes, and its values;
    "ConsumerProtocolMemberAssignment",  # held by tests/contract/test_assignor_on_a_broker.py
    "ConsumerProtocolMemberMetadata",
    "Coordination",
    "Ends",
    "PartitionState",
    "committed_offsets",
    "high_watermark",
    "metadata_reported_ms",
    "partition_state",
    "wait_for_partitions",
]

_READ_UNCOMMITTED = 0
_LATEST = -1


class Ends(Struct, frozen=True):
    """The ends of a partition: ``stable``, the last stable offset, and ``log``, the high watermark.

    ``reported_ms``: when a broker reported them, ms since the epoch by this machine's clock.
    """

    stable: int
    log: int
    reported_ms: int


class PartitionState(Struct, frozen=True):
    """What the client knows of an assigned partition.

    ``position``: the next offset that it hands out; None before it has one. ``ends``: as of the last fetch;
    None before the first.
    """

    position: int | None
    ends: Ends | None


def partition_state(consumer: AIOKafkaConsumer, topic_partition: TopicPartition) -> PartitionState | None:
    """The state of a partition; None where it is not assigned.

    The public ``position`` waits until there is one. Held by test_caught_up.py.
    """
    subscription = consumer._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    if assignment is None or topic_partition not in assignment.tps:
        return None
    state = assignment.state_value(topic_partition)
    position = state.position if state.has_valid_position else None
    ends = None if state.lso is None else Ends(state.lso, state.highwater, state.timestamp)
    return PartitionState(position, ends)


async def wait_for_partitions(consumer: AIOKafkaConsumer, topic: str) -> Collection[int]:
    """The topic's partitions, asked for until a broker names some. Raises the client's errors.

    A consumer's public methods answer None at once for a topic that it does not know yet. Held by
    test_changelog.py.
    """
    partitions: Collection[int] = await consumer._client._wait_on_metadata(topic)
    return partitions


def metadata_reported_ms(consumer: AIOKafkaConsumer) -> int:
    """When a broker last answered with metadata: ms since the epoch by this machine's clock.

    No public name says it. Held by test_changelog.py.
    """
    return int(consumer._client.cluster._last_successful_refresh_ms)


async def high_watermark(consumer: AIOKafkaConsumer, topic_partition: TopicPartition) -> int:
    """The end of the partition's log, also behind open transactions. Raises the client's errors.

    The public ``end_offsets`` asks with the consumer's isolation level, and is answered the last stable
    offset. Held by test_source.py.
    """
    client = consumer._client
    topic, partition = topic_partition
    leader = client.cluster.leader_for_partition(topic_partition)
    if leader in (None, -1):
        client.force_metadata_update()
        raise LeaderNotAvailableError(f"{topic}/{partition}")
    answer = await client.send(
        leader, OffsetRequest(-1, _READ_UNCOMMITTED, [(topic, [(partition, _LATEST)])])
    )
    ((_, ((_, error_code, _, offset),)),) = answer.topics
    if error_code:
        raise for_code(error_code)(f"{topic}/{partition}")
    return int(offset)


async def committed_offsets(
    consumer: AIOKafkaConsumer, topic_partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, tuple[int, str]]:
    """(offset, metadata) that the group has committed, where it has. Raises the client's errors.

    The public ``committed`` leaves the metadata out. Held by test_source.py.
    """
    known = await consumer._coordinator.fetch_committed_offsets(topic_partitions)
    return {
        topic_partition: (int(committed.offset), committed.metadata)
        for topic_partition, committed in known.items()
    }


class Coordination:
    """A consumer's membership in its group, as the client runs it in the background.

    The public methods report its errors only to who fetches, and never the member id. Held by
    test_membership.py.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        """``consumer`` is started and has a group."""
        self._coordinator = consumer._coordinator

    @property
    def member_id(self) -> str:
        """The name that the group's coordinator knows this member by."""
        return str(self._coordinator.member_id)

    @property
    def has_ended(self) -> bool:
        """Whether the client has given the membership up for good."""
        return bool(self._coordinator._coordination_task.done())

    def check_errors(self) -> None:
        """Raise what has failed since the last call: a KafkaError. Until then the client does nothing."""
        self._coordinator.check_errors()
