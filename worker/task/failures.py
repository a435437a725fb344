"""Counts what goes wrong without a success between, and decides when trying again has become pointless.

A broker that is away is waited for without end; records that it refuses, and state that is unusable also when
restored, are not: then the worker ends with the reason, instead of standing still in silence.
"""

from worker import telemetry
from worker.errors import Fatal, StateCorrupted, TransactionLost
from worker.task.draft import TaskTopics

_REFUSALS = 5
_CORRUPTIONS = 3
_MISSING = 2
"""So often a topic is missing before it counts as deleted: each time for half of a transaction's timeout."""


class Setbacks:
    """What went wrong in one task since its last commit."""

    def __init__(self, partition: int, topics: TaskTopics) -> None:
        self._partition = partition
        self._topics = topics
        self.lost = 0
        self._refused = 0
        self._missing = 0
        self._corrupted = 0

    def committed(self) -> None:
        """A success: all is forgotten."""
        self.lost = self._refused = self._missing = self._corrupted = 0

    def lose(self, lost: TransactionLost, events: int, *, told: bool) -> None:
        """Count a lost transaction of so many events, and tell the log of the 1st, 2nd, 4th, 8th ... in a
        row: an outage of an hour loses one every 2 s.

        Raises Fatal when the broker has refused it again and again.
        """
        self.lost += 1
        if told and self.lost.bit_count() == 1:
            telemetry.emit(
                telemetry.TransactionLost(
                    partition=self._partition, reason=str(lost), events=events, consecutive=self.lost
                )
            )
        self._missing = self._missing + 1 if lost.missing_topic else 0
        if self._missing >= _MISSING:
            topic = lost.missing_topic
            raise Fatal(f"{topic} is gone, or may not be seen any more. {self._topics.when_missing(topic)}")
        self._refused = self._refused + 1 if lost.refused else 0
        if self._refused >= _REFUSALS:
            raise Fatal(
                f"partition {self._partition}: refused by the brokers {_REFUSALS} times in a row: {lost}"
            ) from lost

    def corrupt(self, corrupted: StateCorrupted) -> None:
        """Count an unusable store, and tell the log. Raises Fatal when wiping and restoring does not help."""
        self._corrupted += 1
        telemetry.emit(telemetry.StateWiped(partition=self._partition, reason=str(corrupted)))
        if self._corrupted >= _CORRUPTIONS:
            raise Fatal(
                f"partition {self._partition}: state unusable {_CORRUPTIONS} times in a row, also when "
                f"restored: {corrupted}"
            ) from corrupted
