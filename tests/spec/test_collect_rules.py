"""What a collector demands of the raw topic: room for the largest body, times, and replicas."""

from collections.abc import Mapping

import pytest

from worker.adapters.kafka.collect_rules import BESIDE_A_BODY_BYTES, all_problems, collect_problems
from worker.adapters.kafka.topic_rules import LARGEST_BATCH_BYTES, Problem, Topic
from worker.config import Config
from worker.config.options import Collect

SIZE = "max.message.bytes"
RIGHT = {
    SIZE: str(LARGEST_BATCH_BYTES),
    "message.timestamp.type": "CreateTime",
    "min.insync.replicas": "2",
    "cleanup.policy": "delete",
}


def raw(changes: Mapping[str, str] = {}, replicas: int = 3) -> Topic:
    settings = {**RIGHT, **changes}
    return Topic(name="events.raw", partitions=6, replication_factor=replicas, settings=settings)


def found(topic: Topic | None, max_body_bytes: int = Collect().max_body_bytes) -> list[Problem]:
    return [*all_problems(topic, Config(collect=Collect(max_body_bytes=max_body_bytes)))]


def test_the_defaults_of_collector_and_brokers_fit_together() -> None:
    assert found(raw()) == []


def test_the_largest_body_fits_with_what_stands_beside_it() -> None:
    least = 1_000_000 + BESIDE_A_BODY_BYTES
    assert found(raw({SIZE: str(least)})) == []
    (problem,) = found(raw({SIZE: str(least - 1)}))
    assert problem.fatal
    assert problem.stops == "collector"
    assert problem.what.startswith(
        f"max.message.bytes is {least - 1}: a body of collect.max_body_bytes, 1000000"
    )
    assert problem.remedy == (
        f"collect.max_body_bytes = 999999, or kafka-configs.sh --bootstrap-server localhost:9092 --alter "
        f"--entity-type topics --entity-name events.raw --add-config max.message.bytes={least}"
    )


def test_no_body_limit_is_proposed_that_is_not_allowed() -> None:
    (problem,) = found(raw({SIZE: "48500"}))
    assert problem.remedy.startswith("kafka-configs.sh")


def test_a_larger_body_asks_for_a_larger_topic() -> None:
    (problem,) = found(raw(), max_body_bytes=2_000_000)
    assert problem.remedy.endswith("max.message.bytes=2048000")


@pytest.mark.parametrize(
    ("changes", "what", "fatal"),
    [
        (
            {"message.timestamp.type": "LogAppendTime"},
            "received_at of events is when a broker stored them",
            False,
        ),
        ({"min.insync.replicas": "4"}, "min.insync.replicas is 4, and there are 3 replicas", True),
        ({"min.insync.replicas": "3"}, "while one broker is away", False),
        ({"min.insync.replicas": "1"}, "what one broker alone acknowledged may be lost", False),
        ({"cleanup.policy": "compact"}, "compaction deletes all but the last event", False),
    ],
)
def test_what_would_lose_or_refuse_records_is_named(
    changes: Mapping[str, str], what: str, fatal: bool
) -> None:
    (problem,) = found(raw(changes))
    assert what in problem.what
    assert problem.fatal is fatal


def test_one_copy_is_a_warning() -> None:
    (problem,) = found(raw({"min.insync.replicas": "1"}, replicas=1))
    assert problem.unwise
    assert "replication factor 1" in problem.what


def test_a_topic_that_is_not_there_stops_the_collector() -> None:
    (problem,) = found(None)
    assert problem.fatal
    assert str(problem) == (
        "events.raw: does not exist, or may not be seen. Remedy: sessionizer topics create --partitions N"
    )


def test_settings_that_may_not_be_read_stop_nobody() -> None:
    hidden = Topic(name="events.raw", partitions=6, replication_factor=3)
    assert [*collect_problems(hidden, Config())] == []
    (problem,) = found(hidden)
    assert not problem.fatal
    assert "DescribeConfigs" in problem.remedy
