"""The topics that a task reads from and writes to, by role; the adapters decide their settings."""

from msgspec import Struct


class TaskTopics(Struct, frozen=True, kw_only=True):
    """Task p reads partition p of ``raw`` and writes partition p of the others.

    Nothing is sent to ``sessions`` or ``identities`` where the rules do not publish them. ``repartition`` is
    an input too; it is empty where it is not read. Events for other partitions go to theirs of it.
    """

    raw: str
    repartition: str = ""
    enriched: str
    dead_letters: str
    sessions: str
    identities: str
    changelog: str
    group_id: str = ""
    """The group that has committed offsets of the inputs; only messages need its name."""
    timed_by_brokers: frozenset[str] = frozenset()
    """Inputs whose records bear the time at which a broker took them (``LogAppendTime``)."""

    def when_missing(self, topic: str) -> str:
        """What to do when one of them was deleted under a worker."""
        if topic in self.inputs:
            return (
                "Do not recreate it for this group, which would go on at its old offsets: start a new group "
                "(kafka.group_id)"
            )
        if topic == self.changelog:
            return (
                "The state is lost with it. Restore it from a copy, or start a new group (kafka.group_id), "
                "which reads the raw topic again"
            )
        return (
            "Create it again (sessionizer topics create) and start the workers: nothing is lost or repeated"
        )

    @property
    def inputs(self) -> list[str]:
        """The raw topic, and the repartition topic where it is read."""
        return [self.raw, self.repartition] if self.repartition else [self.raw]
