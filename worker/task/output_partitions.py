"""Says to which partition of its output topics a task's records go.

An output that has as many partitions as the raw topic takes all of a task's records in the task's own
partition: so a transaction touches few. One with another number is partitioned by device, as producers would;
so each device stays in its order there too, for it has one task and one output partition. Knows keys; no
events.
"""

from collections.abc import Iterator, Mapping, Sequence

from worker.core.encode import device_of_session_key
from worker.core.partitioner import Partitioning, PartitionOf
from worker.model.outputs import OutputRecord
from worker.model.topics import OUTPUTS, Role
from worker.task.draft import Draft, TaskTopics


class Outlets:
    """The ways out of one partition's task."""

    def __init__(
        self, partition: int, topics: TaskTopics, partitioning: Partitioning, counts: Mapping[str, int]
    ) -> None:
        """``counts``: how many partitions the topics have; those of the raw topic where it is not said."""
        self._partition = partition
        self._topics = topics
        self._spread: dict[str, PartitionOf] = {
            topic: Partitioning(partitions=count, partitioner=partitioning.partitioner).cached()
            for topic, count in counts.items()
            if count != partitioning.partitions
        }

    def of(self, draft: Draft) -> Iterator[tuple[str, int, Sequence[OutputRecord]]]:
        """(topic, partition, records) of all that the draft publishes, each in order."""
        for role, topic in self._topics.outputs.items():
            for partition, part in self._parts(role, draft.outputs(role)):
                yield topic, partition, part

    def _parts(
        self, role: Role, records: Sequence[OutputRecord]
    ) -> Iterator[tuple[int, Sequence[OutputRecord]]]:
        partition_of = self._spread.get(self._topics.outputs[role])
        if partition_of is None:
            yield self._partition, records
            return
        parts: dict[int, list[OutputRecord]] = {}
        for record in records:
            partition = partition_of(_device_of(role, record[0]))
            parts.setdefault(partition, []).append(record)
        yield from parts.items()


def _device_of(role: Role, key: bytes | None) -> str:
    """The device that a key names; of a dead letter the raw record's key, whatever that is."""
    text = (key or b"").decode(errors="replace")
    return device_of_session_key(text) if OUTPUTS[role].key == "session" else text
