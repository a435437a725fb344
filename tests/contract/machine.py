"""A worker's machine, as far as its assignor asks: what runs there, and what its disk holds."""

from collections.abc import Mapping

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from worker.adapters.kafka.assignor import StickyAssignor

Partitions = dict[str, list[int]]


class Machine:
    """A worker's disk and tasks, as its assignor sees them; and the partitions that it was given."""

    def __init__(self, held: Mapping[int, int] | None = None) -> None:
        self.held = dict(held or {})
        self.tasks: set[int] = set()
        self.assignor = StickyAssignor(held=lambda: self.held, owned=lambda: self.tasks)

    def sends(self, *topics: str) -> ConsumerProtocolMemberMetadata:
        """What it joins with, as it arrives at the leader."""
        sent = self.assignor.metadata(topics)
        return ConsumerProtocolMemberMetadata.decode(sent.encode())

    def gets(self, assignment: ConsumerProtocolMemberAssignment, state: int = 100) -> Partitions:
        """Take an assignment and run it; its partitions by topic."""
        arrived = ConsumerProtocolMemberAssignment.decode(assignment.encode())
        self.assignor.on_assignment(arrived)
        partitions = {topic: list(own) for topic, own in arrived.assignment}
        self.tasks = {p for own in partitions.values() for p in own}
        self.held |= dict.fromkeys(self.tasks, state)
        return partitions
