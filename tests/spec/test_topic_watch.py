"""A worker does not go on beside an input topic that is gone or has grown."""

import pytest

from worker.adapters.kafka.topic_watch import TopicWatch
from worker.errors import Fatal


class Cluster:
    """The client's metadata."""

    def __init__(self) -> None:
        self.partitions: dict[str, int] = {"raw": 2, "repartition": 2}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self.partitions[topic])) if topic in self.partitions else None


class Clock:
    """Stands still."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


@pytest.fixture
def watched() -> tuple[TopicWatch, Cluster, Clock]:
    cluster, clock = Cluster(), Clock()
    return TopicWatch(cluster, ["raw", "repartition"], clock), cluster, clock


def test_nothing_is_said_as_long_as_all_is_as_it_was(watched: tuple[TopicWatch, Cluster, Clock]) -> None:
    watch, _, clock = watched
    for clock.now in (0.0, 50.0, 5_000.0):
        watch.check()


@pytest.mark.parametrize("topic", ["raw", "repartition"])
def test_a_topic_that_is_gone_for_half_a_minute_ends_the_worker(
    watched: tuple[TopicWatch, Cluster, Clock], topic: str
) -> None:
    watch, cluster, clock = watched
    watch.check()
    del cluster.partitions[topic]
    for clock.now in (10.0, 40.0):
        watch.check()
    clock.now = 40.1
    with pytest.raises(Fatal, match=f"{topic} is gone"):
        watch.check()


def test_one_that_is_back_in_time_is_forgiven(watched: tuple[TopicWatch, Cluster, Clock]) -> None:
    watch, cluster, clock = watched
    for clock.now in (0.0, 29.0, 60.0, 89.0):
        count = cluster.partitions.pop("raw", None)
        watch.check()
        if count is None:
            cluster.partitions["raw"] = 2
            watch.check()


def test_more_partitions_end_the_worker_with_the_way_to_grow(
    watched: tuple[TopicWatch, Cluster, Clock],
) -> None:
    watch, cluster, _ = watched
    watch.check()
    cluster.partitions["raw"] = 4
    with pytest.raises(Fatal, match=r"raw had 2 partitions when this worker started, now 4.*More partitions"):
        watch.check()
