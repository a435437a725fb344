"""What fails again and again is logged now and then, and ends the worker where a retry is no use."""

import pytest
from structlog.testing import capture_logs

from tests.simulation.topics import topics_of
from worker.errors import Fatal, TransactionLost
from worker.task.failures import FailureStreak

TOPICS = topics_of(partitions=2)
AWAY = TransactionLost("the brokers do not answer")


def test_of_the_transactions_lost_in_an_outage_the_log_reports_ever_fewer() -> None:
    failures = FailureStreak(3, TOPICS)

    with capture_logs() as logs:
        for _ in range(1_800):
            failures.transaction_lost(AWAY, events=7, log=True)
        failures.committed()
        failures.transaction_lost(AWAY, events=7, log=True)

    assert [log["consecutive"] for log in logs] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1]
    assert {(log["event"], log["partition"]) for log in logs} == {("transaction.lost", 3)}


def test_what_was_given_up_is_not_reported() -> None:
    with capture_logs() as logs:
        FailureStreak(3, TOPICS).transaction_lost(AWAY, events=7, log=False)

    assert logs == []


def test_the_fifth_refusal_in_a_row_ends_the_worker_with_the_brokers_reason() -> None:
    failures = FailureStreak(3, TOPICS)
    too_large = TransactionLost("the record is too large", refused=True)
    for lost in (too_large, AWAY, *[too_large] * 4):
        failures.transaction_lost(lost, events=7, log=True)

    with pytest.raises(Fatal, match="refused by the brokers 5 times in a row: the record is too large"):
        failures.transaction_lost(too_large, events=7, log=True)


def missing(topic: str) -> TransactionLost:
    return TransactionLost(f"send to {topic}: there is no such topic", refused=True, missing_topic=topic)


@pytest.mark.parametrize(
    ("topic", "remedy"),
    [
        (TOPICS.outputs["enriched"], "Create it again (sessionizer topics create)"),
        (TOPICS.outputs["dead_letters"], "Create it again (sessionizer topics create)"),
        (TOPICS.raw, "Do not recreate it for this group"),
        (TOPICS.repartition, "Do not recreate it for this group"),
        (TOPICS.changelog, "The state is lost with it. Restore it from a copy, or start a new group"),
    ],
)
def test_a_topic_that_is_missing_twice_in_a_row_ends_the_worker_with_what_to_do(
    topic: str, remedy: str
) -> None:
    failures = FailureStreak(3, TOPICS)
    for lost in (missing(topic), AWAY, missing(topic)):
        failures.transaction_lost(lost, events=7, log=True)

    with pytest.raises(Fatal) as ended:
        failures.transaction_lost(missing(topic), events=7, log=True)
    assert str(ended.value).startswith(f"{topic} is gone, or may not be seen any more. {remedy}")
