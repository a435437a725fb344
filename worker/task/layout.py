"""Which topics a task reads and writes, how many partitions they have, and how devices are spread over them.

Knows names and numbers only; the topics' settings are the adapters' matter. Invariant: task p reads partition
p of every input, so the inputs have the same number of partitions.
"""

from collections.abc import Mapping

from msgspec import Struct

from worker.core.partitioner import Partitioning
from worker.engine.protocol import EngineOptions
from worker.model.rules import Rules
from worker.model.topics import Role


class TaskTopics(Struct, frozen=True, kw_only=True):
    """The names of the topics by role.

    ``outputs`` has those that are published. ``repartition`` is an input too, or empty where it is not read;
    events for other partitions are sent there.
    """

    raw: str
    repartition: str = ""
    outputs: Mapping[Role, str]
    changelog: str
    group_id: str = ""
    """The group that has committed offsets of the inputs; only messages need its name."""
    timed_by_brokers: frozenset[str] = frozenset()
    """Inputs whose record times were set by a broker (``LogAppendTime``)."""

    def when_missing(self, topic: str) -> str:
        """What to do when one of them was deleted while the worker ran."""
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


class Layout(Struct, frozen=True):
    """The topics, and how devices are spread over their partitions.

    ``partitions``: topic -> its number of partitions; a topic that is missing has as many as the raw topic.
    """

    topics: TaskTopics
    partitions: Mapping[str, int]
    partitioning: Partitioning

    def engine_options(self, partition: int, rules: Rules) -> EngineOptions:
        """What the engine of that partition is made for."""
        raw_partitions = self.partitioning.partitions
        return EngineOptions(
            partition=partition,
            rules=rules,
            partitioning=self.partitioning,
            output_partitions={
                role: self.partitions.get(topic, raw_partitions)
                for role, topic in self.topics.outputs.items()
            },
            repartition_topic=self.topics.repartition,
        )
