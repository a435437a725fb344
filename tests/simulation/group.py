"""The consumer group, as its coordinator sees it: which worker has which partition.

Knows no tasks, and not whether a worker knows its assignment already. Invariant: a partition belongs to at
most one worker.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

Worker = TypeVar("Worker")


class Group(Generic[Worker]):
    """The assignment; at the beginning no worker has a partition."""

    def __init__(self, partitions: int) -> None:
        self.owners: dict[int, Worker | None] = dict.fromkeys(range(partitions))

    def assigned_to(self, worker: Worker) -> frozenset[int]:
        """The worker's partitions."""
        return frozenset([partition for partition, owner in self.owners.items() if owner is worker])

    def without_owner(self) -> list[int]:
        """Partitions that no worker has."""
        return [partition for partition, owner in self.owners.items() if owner is None]

    def give(self, partitions: Iterable[int], worker: Worker) -> None:
        """Assign them to this worker; former owners do not know it yet."""
        for partition in partitions:
            self.owners[partition] = worker

    def leave(self, worker: Worker) -> None:
        """The worker has left: its partitions have no owner."""
        for partition in self.assigned_to(worker):
            self.owners[partition] = None
