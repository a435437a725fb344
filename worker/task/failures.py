"""Counts failures in a row, and decides when trying again is pointless.

A broker that is away is waited for without end. A topic that is gone, records that brokers refuse, and state
that is unusable even after a restore are not tried for ever: the worker ends with the reason. Knows errors
and the log only.
"""

from worker import telemetry
from worker.errors import Fatal, StateCorrupted, TransactionLost
from worker.task.layout import TaskTopics

_MOST_REFUSALS = 5
_MOST_CORRUPTIONS = 3
_MOST_MISSING = 2
"""After so many times a missing topic counts as deleted; each takes half of a transaction's timeout."""


class FailureStreak:
    """What failed in one task since its last commit."""

    def __init__(self, partition: int, topics: TaskTopics) -> None:
        self._partition = partition
        self._topics = topics
        self.transactions_lost = 0
        self._refusals = 0
        self._missing = 0
        self._corruptions = 0

    def committed(self) -> None:
        """A success ends the streak."""
        self.transactions_lost = self._refusals = self._missing = self._corruptions = 0

    def transaction_lost(self, error: TransactionLost, events: int, *, log: bool) -> None:
        """Count a lost transaction of ``events`` events; ``log`` the 1st, 2nd, 4th, 8th ... in a row.

        Not every one, because an outage of an hour loses one every 2 s. Raises Fatal when brokers have
        refused it, or a topic was missing, several times in a row.
        """
        self.transactions_lost += 1
        if log and self.transactions_lost.bit_count() == 1:
            telemetry.emit(
                telemetry.TransactionLost(
                    partition=self._partition,
                    reason=str(error),
                    events=events,
                    consecutive=self.transactions_lost,
                )
            )
        self._missing = self._missing + 1 if error.missing_topic else 0
        if self._missing >= _MOST_MISSING:
            topic = error.missing_topic
            remedy = self._topics.when_missing(topic)
            raise Fatal(f"{topic} is gone, or may not be seen any more. {remedy}") from error
        self._refusals = self._refusals + 1 if error.refused else 0
        if self._refusals >= _MOST_REFUSALS:
            raise Fatal(
                f"partition {self._partition}: refused by the brokers {_MOST_REFUSALS} times in a row: "
                f"{error}"
            ) from error

    def state_corrupted(self, error: StateCorrupted) -> None:
        """Count and log an unusable store. Raises Fatal when wiping and restoring it does not help."""
        self._corruptions += 1
        telemetry.emit(telemetry.StateWiped(partition=self._partition, reason=str(error)))
        if self._corruptions >= _MOST_CORRUPTIONS:
            raise Fatal(
                f"partition {self._partition}: state unusable {_MOST_CORRUPTIONS} times in a row, also when "
                f"restored: {error}"
            ) from error
