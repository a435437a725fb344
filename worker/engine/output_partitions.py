"""Decides to which partition of each output topic a task's records go.

An output with as many partitions as the raw topic takes all of a task's records in the task's own partition,
so a transaction touches few. An output with another number is partitioned by device, as producers do it; each
device stays in order there too, because it has one task and one output partition. Knows keys, not events.
"""

from collections.abc import Iterator, Mapping, Sequence

from worker.core.encode import device_of_session_key
from worker.core.partitioner import Partitioning, PartitionOf
from worker.model.output_records import ListedOutgoing
from worker.model.outputs import OutputRecord
from worker.model.topics import OUTPUTS, Role


class OutputPartitions:
    """The output partitions of one task."""

    def __init__(self, partition: int, partitioning: Partitioning, counts: Mapping[Role, int]) -> None:
        """``partitioning`` is that of the raw topic; ``counts``: published output -> its partitions."""
        self.roles: Sequence[Role] = list(counts)
        self._partition = partition
        self._by_device: dict[Role, PartitionOf] = {
            role: Partitioning(partitions=count, partitioner=partitioning.partitioner).cached()
            for role, count in counts.items()
            if count != partitioning.partitions
        }

    def parts(self, role: Role, records: Sequence[OutputRecord]) -> Iterator[ListedOutgoing]:
        """The records of one output, each part in order."""
        partition_of = self._by_device.get(role)
        if partition_of is None:
            yield ListedOutgoing(role, self._partition, records)
            return
        parts: dict[int, list[OutputRecord]] = {}
        for record in records:
            partition = partition_of(_device_of(role, record[0]))
            parts.setdefault(partition, []).append(record)
        for partition, part in parts.items():
            yield ListedOutgoing(role, partition, part)


def _device_of(role: Role, key: bytes | None) -> str:
    """The device that a key names; of a dead letter the raw record's key, whatever that is."""
    text = (key or b"").decode(errors="replace")
    return device_of_session_key(text) if OUTPUTS[role].key == "session" else text
