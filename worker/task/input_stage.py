"""Turns the records of a task's inputs into decoded events of its partition, and records for other
partitions.

Decides how records are sliced, which of their events stay and which are sent to the repartition topic; what
arrived from there stays. Also notices when ``input.partitioner`` is not the producers' one. Knows the core;
no transaction, no states. Invariant: every event stays or is repartitioned, never both; slices, put together
again, are the records, in order.
"""

from collections.abc import Sequence
from typing import cast

from msgspec import Struct

from worker import telemetry
from worker.core.decode import Decoder
from worker.core.partitioner import OTHER_PARTITIONER, Partitioning
from worker.core.pipeline import DecodedRecords, decode_records
from worker.core.repartition import arrived, divide, misplaced_devices, with_origin_indexes
from worker.model.events import InputRecord
from worker.model.repartition import RecordWithHeaders, RepartitionedRecord
from worker.task.layout import Layout

_ENOUGH_RECORDS = 200
_MISMATCH_SHARE = 0.95
"""With two partitions, half of what is misplaced is by chance where the other partitioner would put it."""


def slices(records: Sequence[InputRecord], max_bytes: int) -> Sequence[Sequence[InputRecord]]:
    """Cut records into slices of about ``max_bytes`` of value each, of at least one record.

    A slice is processed without a break, so its size bounds how late a heartbeat can be.
    """
    lengths = [len(record.value) if record.value is not None else 0 for record in records]
    if sum(lengths) <= max_bytes:
        return [records] if records else []
    found: list[Sequence[InputRecord]] = []
    start = size = 0
    for position, length in enumerate(lengths):
        if position > start and size + length > max_bytes:
            found.append(records[start:position])
            start, size = position, 0
        size += length
    found.append(records[start:])
    return found


def from_offset(records: Sequence[InputRecord], next_offset: int) -> Sequence[InputRecord]:
    """The records of one topic that were not processed yet, which begin at ``next_offset``.

    A fetch that runs during a rebalance begins again at the committed offset, before records that are in the
    draft already.
    """
    if records[0].offset >= next_offset:
        return records
    return [record for record in records if record.offset >= next_offset]


class InputBatch(Struct, frozen=True):
    """Some records, decoded, and divided into what stays and what belongs to other partitions."""

    decoded: DecodedRecords
    to_repartition: Sequence[RepartitionedRecord]


class InputStage:
    """The input stage of one partition's task."""

    def __init__(
        self, partition: int, layout: Layout, decoder: Decoder, partitioner_check: "PartitionerCheck"
    ) -> None:
        """``partitioner_check`` is shared by all tasks of the process."""
        self._partition = partition
        self._repartition_topic = layout.topics.repartition
        self._repartitions = layout.partitioning.repartitions
        self._partition_of = layout.partitioning.cached()
        self._decoder = decoder
        self._partitioner_check = partitioner_check

    def process(self, records: Sequence[InputRecord]) -> InputBatch:
        """Decode and divide some records, all of one topic. Never raises on input."""
        if records[0].topic == self._repartition_topic:
            originals = [arrived(record) for record in cast("Sequence[RecordWithHeaders]", records)]
            return InputBatch(with_origin_indexes(decode_records(originals, self._decoder)), ())
        decoded = decode_records(records, self._decoder)
        if not self._repartitions:
            return InputBatch(decoded, ())
        misplaced = misplaced_devices(decoded.device_ids, self._partition, self._partition_of)
        if not misplaced:
            return InputBatch(decoded, ())
        self._partitioner_check.count(decoded, misplaced, self._partition)
        return InputBatch(*divide(decoded, misplaced, self._partition_of, self._decoder.elements))


class PartitionerCheck:
    """Distinguishes a wrong ``input.partitioner`` from producers that set no device key.

    Both put records into partitions that their devices do not belong to, and repartitioning corrects both.
    But where records with the device as their key lie just where the other partitioner would have put them,
    the option is wrong, and every event goes through the repartition topic for nothing. Logged once a
    process.
    """

    def __init__(self, partitioning: Partitioning) -> None:
        self._partitioning = partitioning
        self._other = Partitioning(
            partitions=partitioning.partitions,
            partitioner=OTHER_PARTITIONER[partitioning.partitioner],
            repartitions=False,
        )
        self._counted = 0
        self._explained = 0
        self._decided = partitioning.partitions < 2

    def count(self, decoded: DecodedRecords, misplaced: frozenset[str], partition: int) -> None:
        """Count the keyed records whose first device is misplaced; log when they are enough to decide."""
        if self._decided:
            return
        for record, value in zip(decoded.records, decoded.values, strict=True):
            if record.key is None or not value.events:
                continue
            device_id = value.events[0].device_id
            if device_id in misplaced and record.key == device_id.encode():
                self._counted += 1
                self._explained += self._other.partition_of(device_id) == partition
        if self._counted >= _ENOUGH_RECORDS:
            self._decided = True
            if self._explained >= _MISMATCH_SHARE * self._counted:
                telemetry.emit(
                    telemetry.PartitionerMismatch(
                        configured=self._partitioning.partitioner, observed=self._other.partitioner
                    )
                )
