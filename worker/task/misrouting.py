"""Tells a wrong ``input.partitioner`` from producers that do not care for keys.

Both send records to partitions that their devices do not belong to, and both are mended by repartitioning.
But where records with the device as their key lie just where the other partitioner would have put them, the
option is wrong, and every event pays the way through the repartition topic for nothing. Told once a process.
"""

from worker import telemetry
from worker.core.partitioner import OTHER_PARTITIONER, Partitioning
from worker.core.pipeline import DecodedRecords

_ENOUGH = 200
_SHARE = 0.95
"""Of two partitions, chance puts half of what is misplaced where the other partitioner would."""


class Misrouting:
    """What one process has seen of keyed records in wrong partitions."""

    def __init__(self, partitioning: Partitioning) -> None:
        self._partitioning = partitioning
        self._other = Partitioning(
            partitions=partitioning.partitions,
            partitioner=OTHER_PARTITIONER[partitioning.partitioner],
            repartitions=False,
        )
        self._seen = 0
        self._explained = 0
        self._told = partitioning.partitions < 2

    def look_at(self, decoded: DecodedRecords, misplaced: frozenset[str], partition: int) -> None:
        """Count the keyed ones among records whose devices do not belong to the partition."""
        if self._told:
            return
        for record, value in zip(decoded.records, decoded.values, strict=True):
            if record.key is None or not value.events:
                continue
            device_id = value.events[0].device_id
            if device_id in misplaced and record.key == device_id.encode():
                self._seen += 1
                self._explained += self._other.partition_of(device_id) == partition
        if self._seen >= _ENOUGH:
            self._told = True
            if self._explained >= _SHARE * self._seen:
                telemetry.emit(
                    telemetry.PartitionerMismatch(
                        configured=self._partitioning.partitioner, observed=self._other.partitioner
                    )
                )
