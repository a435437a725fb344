"""The benchmark's topics: how they are made, watched, counted and removed.

Decides their settings. Knows nothing of what is measured. Records of any time are accepted and kept: the
load's time line is years back, and time retention would delete it while it is being read.
"""

import time
import uuid
from collections.abc import Callable, Sequence

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from msgspec import Raw
from msgspec.json import Decoder

from worker.model.topics import TOPICS

FOR_EVER_MS = str(2**63 - 1)
KEPT = {
    "retention.ms": "-1",
    "message.timestamp.before.max.ms": FOR_EVER_MS,
    "message.timestamp.after.max.ms": FOR_EVER_MS,
}
COMPACTED = {**KEPT, "cleanup.policy": "compact", "delete.retention.ms": "604800000"}
APPEND_TIME = {**KEPT, "message.timestamp.type": "LogAppendTime"}
OUTPUTS = {
    role.upper(): (APPEND_TIME if spec.time == "broker" else COMPACTED if spec.cleanup == "compact" else KEPT)
    for role, spec in TOPICS.items()
    if spec.kind != "input"
}
"""What a worker writes to, by the option that names it."""

PATIENCE_S = 30.0
ENDS = ("ENRICHED", "DEAD_LETTERS")
"""Where every event ends, once, by the option that names it."""


class Topics:
    """The topics of one cluster. Errors are KafkaException; what takes too long is a TimeoutError."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._admin = self._client()

    def _client(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._servers})

    def exists(self, name: str) -> bool:
        return name in self._admin.list_topics(timeout=10).topics

    def partitions(self, name: str) -> int:
        """How many partitions a topic has."""
        metadata = self._admin.list_topics(timeout=10).topics.get(name)
        if metadata is None:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"there is no topic {name}"))
        return len(metadata.partitions)

    def create(self, name: str, partitions: int, settings: dict[str, str]) -> None:
        """Make a topic and return when its partitions have leaders."""
        self._admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result()
        self.end_offset(name, partitions)

    def fresh_outputs(self, prefix: str, partitions: int) -> tuple[str, dict[str, str]]:
        """A new group, and topics of its own for all it writes to, by their option."""
        group = f"{prefix}-{uuid.uuid4().hex[:12]}"
        names = {output: f"{group}.{output.lower().replace('_', '-')}" for output in OUTPUTS}
        for output, name in names.items():
            self.create(name, partitions, OUTPUTS[output])
        return group, names

    def delete(self, names: Sequence[str]) -> None:
        """Remove those that are there, and return when the broker does not list them any more."""
        there = set(names) & set(self._admin.list_topics(timeout=10).topics)
        if not there:
            return
        for future in self._admin.delete_topics(list(there)).values():
            future.result()
        deadline = time.monotonic() + PATIENCE_S
        while there & set(self._admin.list_topics(timeout=10).topics):
            if time.monotonic() > deadline:
                raise TimeoutError(f"still there after {PATIENCE_S:.0f} s: {', '.join(names)}")
            time.sleep(0.1)

    def end_offset(self, name: str, partitions: int) -> int:
        """Where readers of committed records stop, summed over the partitions; markers count too."""
        query = {TopicPartition(name, number): OffsetSpec.latest() for number in range(partitions)}
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answers = self._admin.list_offsets(
                    query, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=10
                )
                return sum(future.result().offset for future in answers.values())
            except KafkaException:  # a topic made a moment ago has no leaders yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
                self._admin = self._client()  # one client may remember for long that there were none

    def count_records(self, name: str) -> int:
        """How many committed records a topic has, by reading them."""
        return self._read(name, lambda _: 1)

    def count_events(self, name: str) -> int:
        """How many events a raw topic's records have together, by reading them."""
        decode = Decoder(list[Raw]).decode
        return self._read(name, lambda value: len(decode(value)))

    def _read(self, name: str, measure: Callable[[bytes], int]) -> int:
        """The sum of a measure over the values of all committed records."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": f"{name}-count",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,  # comes after the last record, whatever markers follow it
            }
        )
        unread = set(range(self.partitions(name)))
        consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for number in unread])
        total = 0
        deadline = time.monotonic() + PATIENCE_S
        try:
            while unread:
                for message in consumer.consume(10_000, 0.5):
                    error = message.error()
                    if error is None:
                        total += measure(message.value())
                    elif error.code() == KafkaError._PARTITION_EOF:
                        unread.discard(message.partition())
                    else:
                        raise KafkaException(error)
                    deadline = time.monotonic() + PATIENCE_S
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{name}: no record for {PATIENCE_S:.0f} s, and not at the end")
        finally:
            consumer.close()
        return total
