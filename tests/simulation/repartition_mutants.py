"""Mutants of repartitioning: of events that go from one partition to another, and of two inputs.

``test_mutations`` lets the simulation find them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from msgspec import structs

from tests.simulation.broker import Entry
from tests.simulation.mutants import draft_of
from tests.simulation.process import DECODER
from tests.simulation.source import FakeInput, FakeSource
from tests.simulation.topics import REPARTITION_TOPIC
from tests.simulation.transaction import FakeTransaction
from worker.core.decode import Decoder
from worker.core.pipeline import decode_records
from worker.core.repartition import arrived, divide, misplaced_devices
from worker.engine.input_stage import InputBatch, InputStage
from worker.engine.protocol import Drafted, EngineOptions
from worker.engine.readable import ReadableEngine
from worker.model.records import Records
from worker.model.repartition import RecordWithHeaders, RepartitionedRecord
from worker.task.open_draft import OpenDraft
from worker.task.partition_task import PartitionTask, Topology


class ForwardsInATransactionOfItsOwn(PartitionTask):
    """A crash between the two leaves the raw offset where it was: the events are forwarded again."""

    async def _transact(self, drafted: Drafted) -> int:
        if drafted.leaving:
            await self._transaction.begin()
            for partition, records in drafted.leaving.items():
                await self._transaction.forward(self._topics.repartition, partition, records)
            await self._transaction.acknowledged()
            await self._transaction.commit()
        return await super()._transact(structs.replace(drafted, leaving={}))


class RepartitionsWhatALostDraftHeld(PartitionTask):
    """Those records are read again, and forwarded a second time."""

    lost: Mapping[int, Sequence[RepartitionedRecord]] = {}

    def _drop_uncommitted(self) -> None:
        if self._draft is not None:
            self.lost = draft_of(self).to_repartition
        super()._drop_uncommitted()

    def _open_draft(self, *, nothing_pending: bool) -> OpenDraft:
        draft = super()._open_draft(nothing_pending=nothing_pending)
        for partition, records in self.lost.items():
            draft_of(self).to_repartition.setdefault(partition, []).extend(records)
        self.lost = {}
        return draft


class KeepsNoOffsetOfTheRepartitionTopic(PartitionTask):
    """After the next restore the whole repartition topic is processed again."""

    async def _commit(self, draft: OpenDraft) -> None:
        if REPARTITION_TOPIC in draft.next_offsets:
            draft.next_offsets = {**draft.next_offsets, REPARTITION_TOPIC: 0}
        await super()._commit(draft)


class CommitsNoOffsetOfTheRepartitionTopic(FakeTransaction):
    """Tools that compute the lag from the group's offsets get a wrong one."""

    async def add_offsets(self, next_offsets: Mapping[str, int], author: str) -> None:
        of_raw = {t: offset for t, offset in next_offsets.items() if t != REPARTITION_TOPIC}
        await super().add_offsets(of_raw, author)


class RepartitionsWhatHasArrived(PartitionTask):
    """It has another partitioner configured, and does not keep what arrived."""

    def __init__(self, partition: int, topology: Topology, *others: Any) -> None:
        topology = structs.replace(topology, make_engine=_SuspiciousEngine)
        super().__init__(partition, topology, *others)


class _SuspiciousEngine(ReadableEngine):
    def __init__(self, options: EngineOptions) -> None:
        super().__init__(options, DECODER)
        self._input_stage = _SuspiciousInputStage(options, DECODER)


class _SuspiciousInputStage(InputStage):
    def __init__(self, options: EngineOptions, decoder: Decoder) -> None:
        super().__init__(options, decoder)
        self._other = structs.replace(options.partitioning, partitioner="crc32")

    def process(self, records: Records, start: int, end: int, most_keys: int = 0) -> InputBatch:
        if records.topic != REPARTITION_TOPIC:
            return super().process(records, start, end, most_keys)
        other = self._other
        listed = cast("Sequence[RecordWithHeaders]", records.between(start, end))
        decoded = decode_records([arrived(record) for record in listed], DECODER)
        misplaced = misplaced_devices(decoded.device_ids, self._partition, other.partition_of)
        return InputBatch(*divide(decoded, misplaced, other.partition_of, DECODER.elements))


class ReadsUndecidedRecords(FakeSource):
    """Events in an open transaction of another task may still be aborted."""

    class _Input(FakeInput):
        def end(self) -> int:
            return len(self.broker.log(self.place))

        def readable(self, position: int) -> Iterator[tuple[int, Entry]]:
            for offset, entry in enumerate(self.broker.log(self.place)[position:], position):
                aborted = entry.unit is not None and entry.unit.committed is False
                if entry.record is not None and not aborted:
                    yield offset, entry

    input_class = _Input


class ProcessesAgainAfterARebalance(PartitionTask):
    """The client goes back to the committed offset, and the task processes those records again."""

    def _step(self, records: Records, place: int) -> int:
        draft = self._draft or self._open_draft(nothing_pending=False)
        if not place:
            topic = records.topic
            draft.next_offsets[topic] = min(draft.next_offsets[topic], records.first_offset)
        return super()._step(records, place)
