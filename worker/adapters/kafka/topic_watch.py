"""Watches the input topics: are they still there, with the partitions that the worker started with?

Decides when a change of theirs needs a human. Knows the client's view of the cluster and asks nobody.
Invariant: a worker neither goes on nor stands by beside an input that is gone or has other partitions, since
devices would belong to other partitions, where their sessions are not.
"""

from collections.abc import Sequence
from typing import Any

from worker.errors import Fatal, PartitionsAdded
from worker.ports import Clock

_MISSING_S = 30.0
"""A topic that brokers do not report for so long is gone. While they restart they may not report it."""


class TopicWatch:
    """Watches the topics from the first time that each was seen."""

    def __init__(self, cluster: Any, topics: Sequence[str], clock: Clock) -> None:
        """``cluster`` has ``partitions_for_topic``: a consumer, which keeps its metadata up to date."""
        self._cluster = cluster
        self._topics = topics
        self._clock = clock
        self._partitions: dict[str, int] = {}
        self._missing_since: dict[str, float] = {}

    def check(self) -> None:
        """Raise Fatal, with the remedy, where a topic is gone or has other partitions than at first."""
        for topic in self._topics:
            count = len(self._cluster.partitions_for_topic(topic) or ())
            if not count:
                self._reject_missing(topic)
                continue
            self._missing_since.pop(topic, None)
            before = self._partitions.setdefault(topic, count)
            if count != before:
                raise PartitionsAdded(topic, before, "this worker started", str(count))

    def _reject_missing(self, topic: str) -> None:
        now_s = self._clock.monotonic()
        if now_s - self._missing_since.setdefault(topic, now_s) > _MISSING_S:
            raise Fatal(
                f"{topic} is gone, or may not be seen any more. Do not recreate it for this group, which "
                "would go on at its old offsets: start a new group (kafka.group_id)"
            )
