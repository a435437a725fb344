"""Where output records must be, if their topics have another number of partitions than the raw topic."""

from collections.abc import Mapping

from worker.core.partitioner import Partitioning


class OutputPartitions:
    """``counts``: the partitions of output topics; as many as the raw topic has where it is not said."""

    def __init__(self, partitions: int, counts: Mapping[str, int]) -> None:
        self.counts = counts
        self._partitions = partitions

    def of(self, topic: str, task_partition: int, key: bytes | None) -> int:
        """The partition of a record with this key: that of the task, or that of its key."""
        count = self.counts.get(topic, self._partitions)
        if count == self._partitions:
            return task_partition
        return Partitioning(partitions=count).partition_of((key or b"").decode(errors="replace"))
