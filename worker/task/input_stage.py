"""Turns the records of a task's inputs into what its partition works on, and what other partitions get.

Decodes, sends on what belongs elsewhere, takes in what was sent here. Knows the core; no transaction. The
invariant is the core's: every event stays or leaves, none does both.
"""

from collections.abc import Sequence
from typing import cast

from msgspec import Struct

from worker.core.decode import Decoder
from worker.core.partitioner import Partitioning
from worker.core.pipeline import DecodedRecords, decode_records
from worker.core.repartition import arrived, divide, misplaced_devices, with_origin_indexes
from worker.model.events import InputRecord
from worker.model.repartition import RecordWithHeaders, RepartitionedRecord
from worker.task.draft import TaskTopics
from worker.task.misrouting import Misrouting


class Taken(Struct, frozen=True):
    """Some records, divided."""

    decoded: DecodedRecords
    leaving: Sequence[RepartitionedRecord]


class Intake:
    """The way in of one partition's task."""

    def __init__(
        self,
        partition: int,
        topics: TaskTopics,
        decoder: Decoder,
        partitioning: Partitioning,
        misrouting: Misrouting,
    ) -> None:
        """``misrouting`` is told of records that came to the wrong partition."""
        self._partition = partition
        self._repartition_topic = topics.repartition
        self._decoder = decoder
        self.partitioning = partitioning
        self._partition_of = partitioning.cached()
        self._misrouting = misrouting

    def take(self, records: Sequence[InputRecord]) -> Taken:
        """Decode some records, all of one topic. Never raises on input."""
        if records[0].topic == self._repartition_topic:
            came = [arrived(record) for record in cast("Sequence[RecordWithHeaders]", records)]
            return Taken(with_origin_indexes(decode_records(came, self._decoder)), ())
        decoded = decode_records(records, self._decoder)
        if not self.partitioning.repartitions:
            return Taken(decoded, ())
        misplaced = misplaced_devices(decoded.device_ids, self._partition, self._partition_of)
        if not misplaced:
            return Taken(decoded, ())
        self._misrouting.look_at(decoded, misplaced, self._partition)
        return Taken(*divide(decoded, misplaced, self._partition_of, self._decoder.elements))
