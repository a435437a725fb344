"""Decides to which partition of each output topic a task's records go.

An output with as many partitions as the raw topic takes all of a task's records in the task's own partition,
so a transaction touches few. An output with another number is partitioned by device, as producers do it; each
device stays in order there too, because it has one task and one output partition. Knows keys, not events.
"""

from collections.abc import Iterator, Sequence

from worker.core.encode import device_of_session_key
from worker.core.partitioner import Partitioning, PartitionOf
from worker.model.outputs import OutputRecord
from worker.model.topics import OUTPUTS, Role
from worker.task.draft import Draft
from worker.task.layout import Layout


class OutputPartitions:
    """The output partitions of one task."""

    def __init__(self, partition: int, layout: Layout) -> None:
        self._partition = partition
        self._topics = layout.topics
        spread = layout.partitioning
        self._by_device: dict[str, PartitionOf] = {
            topic: Partitioning(partitions=count, partitioner=spread.partitioner).cached()
            for topic, count in layout.partitions.items()
            if count != spread.partitions
        }

    def records_of(self, draft: Draft) -> Iterator[tuple[str, int, Sequence[OutputRecord]]]:
        """(topic, partition, records) of all that the draft publishes, each in order."""
        for role, topic in self._topics.outputs.items():
            for partition, part in self._parts(role, draft.outputs(role)):
                yield topic, partition, part

    def _parts(
        self, role: Role, records: Sequence[OutputRecord]
    ) -> Iterator[tuple[int, Sequence[OutputRecord]]]:
        partition_of = self._by_device.get(self._topics.outputs[role])
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
