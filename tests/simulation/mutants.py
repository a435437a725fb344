"""Mutants of the task and of its ports: each breaks the protocol in one way.

``test_mutations`` lets the simulation find them. Mutants of repartitioning are in ``repartition_mutants``.
"""

from collections.abc import Iterator, Sequence

from msgspec import structs

from tests.simulation.broker import Entry, TopicPartition
from tests.simulation.changelog import FakeChangelog
from tests.simulation.topics import topics_of
from tests.simulation.transaction import FakeTransaction
from tests.simulation.world import until
from worker.core.state_codec import TimerKind, whole_range
from worker.engine.draft import Draft
from worker.engine.readable import ReadableEngine
from worker.errors import TransactionLost
from worker.model.outputs import OutputRecord
from worker.model.repartition import Headers
from worker.ports import TaskPorts
from worker.task.commit_policy import CommitPolicy, DraftLimits
from worker.task.failures import FailureStreak
from worker.task.open_draft import OpenDraft
from worker.task.partition_task import PartitionTask, ProcessServices, TaskState, Topology
from worker.task.restore import Restored, checkpoint_at
from worker.task.startup import Start, Startup
from worker.task.timers import TimerService


def draft_of(task: PartitionTask) -> Draft:
    """What the task's engine, which is the readable one, has drafted."""
    assert isinstance(task._engine, ReadableEngine)
    return task._engine._open()


class WritesTheStoreBeforeTheCommit(PartitionTask):
    """A crash between the two leaves a store that is ahead of its changelog."""

    async def _commit(self, draft: OpenDraft) -> None:
        transaction, topics, drafted = self._transaction, self._topics, self._engine.draft(draft.next_offsets)
        await transaction.begin()
        for outgoing in drafted.outgoing:
            await transaction.send(topics.outputs[outgoing.role], outgoing, outgoing.partition)
        for partition, leaving in drafted.leaving.items():
            await transaction.forward(topics.repartition, partition, leaving)
        await transaction.send(topics.changelog, [(key, value, None) for key, value in drafted.states])
        next_offsets = await transaction.acknowledged()
        await transaction.add_offsets(drafted.meta.next_offsets, drafted.meta.incarnation)
        changelog_offset = next_offsets[topics.changelog]
        checkpoint = checkpoint_at(changelog_offset, drafted.meta.incarnation, self._clock)
        self._store.write([*drafted.states, *drafted.timers], checkpoint)
        await transaction.commit()
        self._committed = drafted.meta
        self._timers.written(drafted.timers)
        self._engine.committed(self._memory.devices_per_task)
        self._failures.committed()


class TrustsTheGroupsOffsets(PartitionTask):
    """They may be those before the last commit: its records would be processed twice."""

    def __init__(
        self,
        partition: int,
        topology: Topology,
        ports: TaskPorts,
        services: ProcessServices,
        policy: CommitPolicy,
        max_store_age_s: float,
    ) -> None:
        super().__init__(partition, topology, ports, services, policy, max_store_age_s)
        self._startup = _StartsAtTheGroupsOffsets(
            partition, topology.layout, ports, services.start_queue, max_store_age_s
        )


class _StartsAtTheGroupsOffsets(Startup):
    async def _start_from(self, restored: Restored) -> Start:
        if restored.meta is None:
            return await super()._start_from(restored)
        committed = await self._ports.source.committed_offsets()
        offsets = {topic: group.next_offset for topic, group in committed.items()}
        meta = structs.replace(restored.meta, next_offsets=offsets or restored.meta.next_offsets)
        return Start(meta, is_changed=False, event=restored.log_event(self._partition))


class KeepsTheWatermarkOfALostDraft(PartitionTask):
    """The watermark is then ahead of the records that were committed."""

    kept_ms = 0

    async def _transaction_lost(self, error: TransactionLost) -> None:
        if self._draft is not None:
            self.kept_ms = max(self.kept_ms, draft_of(self).watermark_ms)
        await super()._transaction_lost(error)

    async def _start(self) -> None:
        await super()._start()
        if self._committed is not None and self.state is TaskState.RUNNING:
            kept_ms = max(self._committed.watermark_ms, self.kept_ms)
            self._committed = structs.replace(self._committed, watermark_ms=kept_ms)


class KeepsTheStatesOfALostDraft(PartitionTask):
    """The same events are then counted into them again."""

    def _drop_uncommitted(self) -> None:
        states = {} if self._draft is None else draft_of(self).states
        super()._drop_uncommitted()
        assert isinstance(self._engine, ReadableEngine)
        self._engine._devices.keep(states, self._memory.devices_per_task)


class KeepsLiveStatesOverALoss(PartitionTask):
    """They may be older than a commit whose answer was lost."""

    def _drop_uncommitted(self) -> None:
        self._draft = None
        self._transaction.discard()


class SendsALostDraftAgain(PartitionTask):
    """It fences, but neither restores nor seeks: if the draft was committed after all, it comes twice."""

    async def _start(self) -> None:
        if self._committed is None:
            await super()._start()
            return
        self._enter(TaskState.RESTORING)
        await self._store.open()
        await self._transaction.fence()
        self._enter(TaskState.RUNNING)

    def _drop_uncommitted(self) -> None:
        self._transaction.discard()


class ReadsOnAfterAStopWhileRestoring(PartitionTask):
    """The source is still after the lost draft: its records would be skipped."""

    async def _start(self) -> None:
        await super()._start()
        if self.state is TaskState.RESTORING:
            self._enter(TaskState.RUNNING)


class LosesTimersWhenItRestores(PartitionTask):
    """The times in the changelog's records set no timers: those sessions never close."""

    async def _start(self) -> None:
        before = self._store.checkpoint()
        await super()._start()
        after = self._store.checkpoint()
        if after is not None and after != before and self.state is TaskState.RUNNING:
            kinds: tuple[TimerKind, ...] = ("close", "expire")
            timers = [key for kind in kinds for key in self._store.keys(*whole_range(kind), 10**6)]
            self._store.write([(key, None) for key in timers], after)
            self._timers.restored()


class NeverShrinks(DraftLimits):
    """Never makes drafts smaller."""

    def timed_out(self, fullness: float) -> None:
        pass


class TriesAgainWhatWasTooMuch(PartitionTask):
    """The same records, in as large a transaction: with a slow broker it never succeeds."""

    async def run(self) -> None:
        self._limits = NeverShrinks(self._policy.slow_s)
        await super().run()


class EndlessFailureStreak(FailureStreak):
    """Treats a missing right as an outage."""

    def transaction_lost(self, error: TransactionLost, events: int, *, log: bool) -> None:
        self.transactions_lost += 1


class TriesForEverWhatIsRefused(PartitionTask):
    """It looks healthy and commits nothing: the missing right is never reported."""

    async def run(self) -> None:
        self._failures = EndlessFailureStreak(self.partition, self._topics)
        await super().run()


class EagerTimerService(TimerService):
    """Uses the wall clock even when there are records to read."""

    def _closing_time_ms(self, watermark_ms: int, *, nothing_pending: bool) -> int:
        return max(watermark_ms, self._clock.wall_ms())


class ClosesByTheClockWhileLagging(PartitionTask):
    """The next events of those sessions may be in the records that are not read yet."""

    async def run(self) -> None:
        self._timers = EagerTimerService(self._rules, self._source, self._store, self._clock)
        await super().run()


class StopsAfterTheLastRecord(PartitionTask):
    """Markers and aborted records after it count as not read; once they are deleted, as lost."""

    def _pass_offsets_without_records(self) -> None:
        """The draft ends after the last record."""


class KeepsFiredTimersOverALoss(PartitionTask):
    """They have had no effect: the sessions that they closed were in the draft that was dropped."""

    def _drop_uncommitted(self) -> None:
        fired = [] if self._draft is None else draft_of(self).fired
        checkpoint = self._store.checkpoint() if fired else None  # a damaged store would raise
        super()._drop_uncommitted()
        if checkpoint is not None:
            self._store.write([(key, None) for key in fired], checkpoint)


class IgnoresFailedBatches(FakeTransaction):
    """The client's own commit does so."""

    async def acknowledged(self) -> dict[str, int]:
        for _, request, _ in self.sent:
            await until(lambda request=request: request.delivered)  # type: ignore[misc]
        return {
            topic: request.result
            for (topic, partition), request, _ in self.sent
            if partition == self.partition and isinstance(request.result, int)
        }


class LeavesOutWhatItMayNotWrite(FakeTransaction):
    """The rest is committed, and the offsets with it: those outputs are never written."""

    async def _send(self, place: TopicPartition, records: Sequence[tuple[OutputRecord, Headers]]) -> None:
        if self.client.world.may_write(place[0]) or place[0] == topics_of(1).changelog:
            await super()._send(place, records)


class SharesItsEpoch(FakeTransaction):
    """A new owner that does not fence: the old one can still write."""

    async def fence(self) -> None:
        if self.broker.producer(self.partition).epoch == 0:
            await super().fence()
        self.epoch = self.broker.producer(self.partition).epoch


class BeginsAfterALostAnswer(FakeTransaction):
    """A late copy of an EndTxn ends the next transaction when it is half written (KIP-890)."""

    async def begin(self) -> None:
        self.tainted = False
        await super().begin()


class GoesOnAfterATimeout(FakeTransaction):
    """It uses the epoch of the broker's timeout as its own.

    Half of a transaction is then aborted, and the other half committed.
    """

    def live_epoch(self) -> int:
        producer = self.broker.producer(self.partition)
        if producer.timed_out and self.epoch == producer.epoch - 1:
            self.epoch = producer.epoch
        return super().live_epoch()


class TreatsALostCommitAsDone(FakeTransaction):
    """Fenced or disconnected, it goes on as after a commit: the store is ahead of its changelog."""

    async def commit(self) -> None:
        try:
            await super().commit()
        except TransactionLost:
            self.open = False


class RestoresWhatIsNotCommitted(FakeChangelog):
    """The client's default: to the end of the log, with aborted records."""

    def end(self) -> int:
        return len(self.broker.log(self.place))

    def readable(self, offset: int, end: int) -> Iterator[tuple[int, Entry]]:
        log = self.broker.log(self.place)
        return ((position, log[position]) for position in range(offset, end) if log[position].record)
