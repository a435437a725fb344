"""Decides when ``input.partitioner`` is not the producers' one, and says so in the log, once a process.

Knows only how many records were counted (``engine.input_stage``), no record. Invariant: it is decided once,
by the first records of all partitions together.
"""

from worker import telemetry
from worker.core.partitioner import OTHER_PARTITIONER, Partitioning
from worker.engine.protocol import ENOUGH_KEYS

_MISMATCH_SHARE = 0.95
"""With two partitions, half of what is misplaced is by chance where the other partitioner would put it."""


class PartitionerCheck:
    """What the records of all tasks of a process say of ``input.partitioner``."""

    def __init__(self, partitioning: Partitioning) -> None:
        self._partitioning = partitioning
        self._counted = 0
        self._explained = 0
        self._decided = False

    def add(self, misplaced: int, explained: int) -> None:
        """Count records that lie in the wrong partition, and those that the other partitioner explains."""
        if self._decided or not misplaced:
            return
        self._counted += misplaced
        self._explained += explained
        if self._counted >= ENOUGH_KEYS:
            self._decided = True
            if self._explained >= _MISMATCH_SHARE * self._counted:
                configured = self._partitioning.partitioner
                observed = OTHER_PARTITIONER[configured]
                telemetry.emit(telemetry.PartitionerMismatch(configured=configured, observed=observed))
