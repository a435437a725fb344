"""Turns the records of a task's inputs into decoded events of its partition, and records for other
partitions.

Decides which of their events stay and which are sent to the repartition topic; what arrived from there stays.
Also counts what shows that ``input.partitioner`` is not the producers' one. Knows the core; no transaction,
no states. Invariant: every event stays or is repartitioned, never both.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from msgspec import Struct

from worker.core.decode import Decoder
from worker.core.partitioner import OTHER_PARTITIONER, Partitioning
from worker.core.pipeline import DecodedRecords, decode_records
from worker.core.repartition import arrived, divide, misplaced_devices, with_origin_indexes
from worker.engine.protocol import ENOUGH_KEYS, EngineOptions
from worker.model.events import DecodedValue, InputRecord, Rejection
from worker.model.records import Records
from worker.model.repartition import RecordWithHeaders, RepartitionedRecord


class InputBatch(Struct, frozen=True):
    """Some records, decoded, and divided into what stays and what belongs to other partitions.

    ``misplaced_keys``, ``explained_keys``: see ``MisplacedKeys``.
    """

    decoded: DecodedRecords
    to_repartition: Sequence[RepartitionedRecord] = ()
    misplaced_keys: int = 0
    explained_keys: int = 0


class InputStage:
    """The input stage of one partition."""

    def __init__(self, options: EngineOptions, decoder: Decoder) -> None:
        self._partition = options.partition
        self._repartition_topic = options.repartition_topic
        self._repartitions = options.partitioning.repartitions
        self._partition_of = options.partitioning.cached()
        self._decoder = decoder
        self._keys = MisplacedKeys(options.partition, options.partitioning)

    def process(self, records: Records, start: int, end: int, most_keys: int = ENOUGH_KEYS) -> InputBatch:
        """Decode and divide the records from place ``start`` on and before ``end``. Never raises on input.

        At most ``most_keys`` misplaced keys are counted.
        """
        listed = records.between(start, end)
        if records.topic == self._repartition_topic:
            originals = [arrived(record) for record in cast("Sequence[RecordWithHeaders]", listed)]
            return InputBatch(with_origin_indexes(decode_records(originals, self._decoder)))
        if records.refusals:
            refusals = {place - start: found for place, found in records.refusals.items()}
            decoded = self._decode_others(listed, refusals)
        else:
            decoded = decode_records(listed, self._decoder)
        if not self._repartitions:
            return InputBatch(decoded)
        misplaced = misplaced_devices(decoded.device_ids, self._partition, self._partition_of)
        if not misplaced:
            return InputBatch(decoded)
        counted = self._keys.count(decoded, misplaced, most_keys)
        divided = divide(decoded, misplaced, self._partition_of, self._decoder.elements)
        return InputBatch(*divided, *counted)

    def _decode_others(
        self, records: Sequence[InputRecord], refusals: Mapping[int, Rejection]
    ) -> DecodedRecords:
        """Decode the records that are not refused already."""
        decode = self._decoder.decode
        values = [
            DecodedValue((), (refusals[place],)) if place in refusals else decode(record.value)
            for place, record in enumerate(records)
        ]
        device_ids = frozenset([event.device_id for value in values for event in value.events])
        return DecodedRecords(records, values, device_ids)


class MisplacedKeys:
    """Distinguishes a wrong ``input.partitioner`` from producers that set no device key.

    Both put records into partitions that their devices do not belong to, and repartitioning corrects both.
    But where records with the device as their key lie just where the other partitioner would have put them,
    the option is wrong, and every event goes through the repartition topic for nothing.
    """

    def __init__(self, partition: int, partitioning: Partitioning) -> None:
        self._partition = partition
        self._other = Partitioning(
            partitions=partitioning.partitions,
            partitioner=OTHER_PARTITIONER[partitioning.partitioner],
            repartitions=False,
        )

    def count(
        self, decoded: DecodedRecords, misplaced: frozenset[str], most: int = ENOUGH_KEYS
    ) -> tuple[int, int]:
        """How many keyed records have a misplaced first device, and how many of them the other explains.

        No more than ``most`` are counted.
        """
        counted = explained = 0
        if self._other.partitions < 2 or most <= 0:
            return 0, 0
        for record, value in zip(decoded.records, decoded.values, strict=True):
            if record.key is None or not value.events:
                continue
            device_id = value.events[0].device_id
            if device_id in misplaced and record.key == device_id.encode():
                counted += 1
                explained += self._other.partition_of(device_id) == self._partition
                if counted == most:
                    break
        return counted, explained
