"""What goes wrong again and again is told now and then, and ends the worker where to try again is no use."""

import pytest
from structlog.testing import capture_logs

from worker.errors import Fatal, TransactionLost
from worker.task.failures import Setbacks

AWAY = TransactionLost("the brokers do not answer")


def test_of_the_transactions_lost_in_an_outage_the_log_tells_ever_fewer() -> None:
    setbacks = Setbacks(partition=3)

    with capture_logs() as logs:
        for _ in range(1_800):
            setbacks.lose(AWAY, events=7, told=True)
        setbacks.committed()
        setbacks.lose(AWAY, events=7, told=True)

    assert [log["consecutive"] for log in logs] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1]
    assert {(log["event"], log["partition"]) for log in logs} == {("transaction.lost", 3)}


def test_what_was_given_up_is_not_told() -> None:
    with capture_logs() as logs:
        Setbacks(partition=3).lose(AWAY, events=7, told=False)

    assert logs == []


def test_the_fifth_refusal_in_a_row_ends_the_worker_with_the_brokers_reason() -> None:
    setbacks = Setbacks(partition=3)
    too_large = TransactionLost("the record is too large", refused=True)
    for lost in (too_large, AWAY, *[too_large] * 4):
        setbacks.lose(lost, events=7, told=True)

    with pytest.raises(Fatal, match="refused by the brokers 5 times in a row: the record is too large"):
        setbacks.lose(too_large, events=7, told=True)
