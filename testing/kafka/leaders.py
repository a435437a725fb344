"""Moves the leader of a partition from one running broker to another.

Decides how: the replicas get another order, and the first of them is elected. No client library of the tests
has the first request. Invariant: the partition keeps its replicas.
"""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest
from confluent_kafka import ElectionType, TopicPartition
from confluent_kafka.admin import AdminClient

_WITHIN_S = 10.0


async def replicas_of(bootstrap_servers: str, topic: str, partition: int) -> tuple[int, list[int]]:
    """The leader (-1: none) and the replicas, the preferred leader first. Raises KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    found = next(each for each in described["partitions"] if each["partition"] == partition)
    return int(found["leader"]), [int(replica) for replica in found["replicas"]]


async def move_leader(bootstrap_servers: str, topic: str, partition: int) -> int:
    """Make the next replica after the leader the leader; returns its id. Raises KafkaError."""
    leader, replicas = await replicas_of(bootstrap_servers, topic, partition)
    at = replicas.index(leader) + 1 if leader in replicas else 1
    replicas = replicas[at:] + replicas[:at]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        answer = await admin._send_request(
            AlterPartitionReassignmentsRequest(
                int(1000 * _WITHIN_S), [(topic, [(partition, replicas, {})], {})], {}
            )
        )
    finally:
        await admin.close()
    for code in (answer.error_code, *(p[1] for each in answer.responses for p in each[1])):
        if code:
            raise for_code(code)
    elector = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    elected = elector.elect_leaders(ElectionType.PREFERRED, [TopicPartition(topic, partition)])
    for error in elected.result(_WITHIN_S).values():
        if error is not None and error.name() != "ELECTION_NOT_NEEDED":
            raise for_code(error.code())
    return replicas[0]
