"""The consumer group, as its coordinator sees it: which worker has which partition.

Knows no tasks: what a worker makes of it, and whether it has heard of it at all, is the worker's. Invariant:
a partition belongs to at most one worker.
"""

from collections.abc import Iterable

from tests.simulation.process import Worker


class Group:
    """The assignment; nobody has a partition at the beginning."""

    def __init__(self, partitions: int) -> None:
        self.owners: dict[int, Worker | None] = dict.fromkeys(range(partitions))

    def assigned_to(self, worker: Worker) -> frozenset[int]:
        """The worker's partitions."""
        return frozenset([partition for partition, owner in self.owners.items() if owner is worker])

    def without_owner(self) -> list[int]:
        """Partitions that nobody has."""
        return [partition for partition, owner in self.owners.items() if owner is None]

    def give(self, partitions: Iterable[int], worker: Worker) -> None:
        """Give them to this worker; who had them is not told."""
        for partition in partitions:
            self.owners[partition] = worker

    def leave(self, worker: Worker) -> None:
        """The worker is gone."""
        for partition in self.assigned_to(worker):
            self.owners[partition] = None
