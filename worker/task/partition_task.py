"""The life of one input partition on this worker, from FENCE to CLOSED.

Decides when to step, commit, restore and give up; knows ports, never Kafka or RocksDB. Awaits port methods
only, so a simulation can step it. Invariants:

1. A task whose producer is not fenced holds exactly the state that the changelog holds: another writer must
   fence first, and then this task's next transaction fails. So a kept task reads on over a rebalance.
2. The changelog's meta record, read after fencing, says where to read on; the group's only confirms it.
3. The store is written after the commit, checkpoint in the same batch: a crash leaves it behind, never ahead.
4. After any failure of a transaction nothing of its draft is left: states, watermark, offsets and counters.
5. The offset to go on from is past everything that holds no record (markers, aborted and compacted records);
   it is committed with the next draft, or alone when nothing comes. So the log may be emptied up to it.
"""

from collections.abc import Callable, Sequence

from worker import telemetry
from worker.core.encode import encode_step
from worker.core.pipeline import process
from worker.errors import Fatal, StateCorrupted, TransactionLost
from worker.model.events import InputRecord
from worker.model.rules import Rules
from worker.model.state import Meta
from worker.ports import Changelog, Clock, Lag, Source, StateStore, Transaction
from worker.task.checkpoints import checkpoint_at, refuse_another_life
from worker.task.commit_policy import CommitPolicy
from worker.task.device_cache import states_of
from worker.task.draft import Draft, TaskTopics
from worker.task.draft_limits import DraftLimits
from worker.task.failures import Setbacks
from worker.task.input_stage import Intake
from worker.task.life_cycle import TaskState, moved
from worker.task.live_states import LiveStates
from worker.task.memory_budget import MemoryBudget
from worker.task.offset_checks import agreed, founded, refuse_forgotten_life, refuse_overtaken
from worker.task.output_partitions import Outlets
from worker.task.progress import Progress
from worker.task.restore import restore
from worker.task.slices import from_offset, slices
from worker.task.starts import Starts
from worker.task.status import TaskStatistics
from worker.task.timers import TIMERS_A_DRAFT, TimerService
from worker.task.wall_clock import WallClock

_IDLE_WAIT_S = 2.0  # hundreds of idle partitions ask the time so often
_FLUSH_INTERVAL_S = 300.0
_SLICE_BYTES = 256 * 1024


class PartitionTask:
    """One partition: ``run`` it; ``stop`` finishes its draft, ``abandon`` leaves that to the new owner."""

    def __init__(
        self,
        partition: int,
        *,
        topics: TaskTopics,
        rules: Rules,
        intake: Intake,
        outlets: Outlets,
        policy: CommitPolicy,
        source: Source,
        transaction: Transaction,
        changelog: Changelog,
        store: StateStore,
        clock: Clock,
        wall_clock: WallClock,
        memory: MemoryBudget,
        starts: Starts,
        new_incarnation: Callable[[], str],
        max_store_age_s: float,
    ) -> None:
        self.partition = partition
        self.state = TaskState.NEW
        self.statistics = TaskStatistics()
        self._topics = topics
        self._rules = rules
        self._intake = intake
        self._outlets = outlets
        self._policy = policy
        self._source = source
        self._transaction = transaction
        self._changelog = changelog
        self._store = store
        self._clock = clock
        self._memory = memory
        self._starts = starts
        self._live_states = LiveStates(memory)
        self._wall_clock = wall_clock
        self._timers = TimerService(rules, source, store, wall_clock, self._live_states)
        self._new_incarnation = new_incarnation
        self._max_store_age_s = max_store_age_s
        self._committed: Meta | None = None
        self._draft: Draft | None = None
        self._stopping = False
        self._abandoned = False
        self._setbacks = Setbacks(partition, topics)
        self._limits = DraftLimits(policy.slow_s)
        self._next_flush = 0.0
        self._restored_to = -1
        self._silent_since = 0.0  # when the coordinator of transactions last heard of us
        self._passed_since: float | None = None  # when inputs were first read past what is committed

    # --- what the worker may ask ---

    def stop(self) -> None:
        """Finish what is drafted, then end."""
        self._stopping = True
        self._source.wake()
        self._starts.wake(self.partition)

    def abandon(self) -> None:
        """End soon, without a last commit: the partition belongs to somebody else."""
        self._abandoned = True
        self.stop()

    @property
    def lag(self) -> Lag:
        """What of the inputs is not yet returned to this task; not known unless it runs."""
        if self.state is not TaskState.RUNNING:
            return Lag(None, unknown_because=self.state.name.lower())
        return self._source.lag()

    @property
    def watermark_ms(self) -> int | None:
        """The committed event watermark; None before the task has run."""
        return None if self._committed is None else self._committed.watermark_ms

    @property
    def progress(self) -> Progress:
        """Whether it has work, and how far it has come."""
        idle = self._draft is None and self.lag.records == 0  # not where nobody knows
        caught_up = idle and (not self._setbacks.lost or self._source.lag().caught_up)
        checkpoint = self._store.checkpoint()
        return Progress(caught_up, -1 if checkpoint is None else checkpoint.changelog_offset)

    def take_statistics(self) -> TaskStatistics:
        """What was done since the last call."""
        taken, self.statistics = self.statistics, TaskStatistics()
        return taken

    async def run(self) -> None:
        """Live until stopped or abandoned. Raises Fatal when only a human can help."""
        try:
            while not self._stopping:
                try:
                    await self._start_in_turn()
                    if self.state is TaskState.RUNNING:  # not where it was asked to stop on the way
                        await self._consume()
                except TransactionLost as lost:
                    await self._lose(lost)
                except StateCorrupted as corrupted:
                    await self._forget(corrupted)
        finally:
            self._enter(TaskState.CLOSED)
            self._transaction.discard()
            try:
                await self._changelog.close()
            finally:
                await self._store.close()

    # --- start: fence, restore, agree, seek ---

    async def _start_in_turn(self) -> None:
        self._enter(TaskState.RESTORING)
        await self._starts.enter(self.partition, lambda: self._stopping)
        try:
            if not self._stopping:
                await self._store.open()
                await self._start()
        finally:
            self._starts.leave(self.partition)

    async def _start(self) -> None:
        await self._transaction.fence()
        self._silent_since = self._clock.monotonic()
        changelog, store, age_s = self._changelog, self._store, self._max_store_age_s
        restored = await restore(self.partition, changelog, store, self._clock, age_s, self._stop_restoring)
        if self._stopping:
            return
        try:
            if restored.meta is None:
                await self._found()
            else:
                await self._continue(restored.meta)
                telemetry.emit(restored.log_event(self.partition))
        except Fatal:
            await refuse_overtaken(self._changelog, restored.end)
            raise
        await self._changelog.close()  # an open reader would fetch for ever what this task writes
        assert self._committed is not None
        self._timers.restored()
        self._source.seek(self._committed.next_offsets)
        self._enter(TaskState.RUNNING)
        self._next_flush = self._clock.monotonic()  # what was restored is not to be restored again

    def _stop_restoring(self) -> bool:
        """Asked before each piece of a restore."""
        checkpoint = self._store.checkpoint()
        offset = -1 if checkpoint is None else checkpoint.changelog_offset
        if offset != self._restored_to:
            self._restored_to = offset
            self._starts.moved_on(self.partition)
        return self._stopping

    async def _found(self) -> None:
        """First life: write down where it begins, before anything else, so that it is decided once."""
        await refuse_forgotten_life(self.partition, self._topics.changelog, self._source)
        base = founded(
            self._new_incarnation(),
            self._topics.raw,
            self._intake.partitioning,
            await self._source.first_offsets(),
        )
        await self._commit(Draft(base, self._clock.monotonic()))
        telemetry.emit(telemetry.PartitionFounded(partition=self.partition, next_offsets=base.next_offsets))

    async def _continue(self, meta: Meta) -> None:
        topics, partitioning = self._topics, self._intake.partitioning
        agreement = await agreed(self.partition, meta, topics, partitioning, self._source, self._clock)
        if agreement.next_offsets == meta.next_offsets:
            self._committed = agreement
        else:
            await self._commit(Draft(agreement, self._clock.monotonic()))

    # --- run: step and commit ---

    async def _consume(self) -> None:
        while not self._abandoned:
            at_the_end = self._source.lag().caught_up
            records = await self._source.next_records(self._wait_s())
            if at_the_end and records:
                self._wall_clock.arrived(records[-1], self._topics.timed_by_brokers)
            if not records and self._draft is None and self._has_something_due():
                self._open_draft(nothing_pending=True)
            for piece in slices(records, self._limits.part_of(_SLICE_BYTES)):
                self._step(piece)
                if self._is_full():
                    await self._commit_draft()
                await self._clock.sleep(0)
            is_due = self._draft is not None and (self._is_full() or self._wait_s() == 0.0)
            if is_due or (self._stopping and not self._abandoned):
                self._pass_what_holds_no_record()
                await self._commit_draft()
            if self._stopping:
                return
            if self._draft is None and self._clock.monotonic() >= self._silent_since + self._policy.silence_s:
                assert self._committed is not None
                await self._commit(Draft(self._committed, self._clock.monotonic()))
            if self._clock.monotonic() >= self._next_flush:
                await self._keep_store_fresh()

    def _step(self, records: Sequence[InputRecord]) -> None:
        """Take records into the draft. Pure but for the look-ups of states; nothing is sent yet."""
        draft = self._draft or self._open_draft(nothing_pending=False)
        topic = records[0].topic
        records = from_offset(records, draft.next_offsets[topic])
        if not records:
            return
        taken = self._intake.take(records)
        states = states_of(taken.decoded.device_ids, draft.states, self._live_states, self._store)
        result = process(taken.decoded, states, draft.watermark_ms, draft.expiry, self._rules)
        draft.send_on(taken.leaving)
        if taken.decoded.records:  # of the repartition topic: as they were first received
            draft.note_received(taken.decoded.records[0].timestamp)
        draft.add(topic, records[-1].offset + 1, len(records), result, encode_step(result))

    def _open_draft(self, *, nothing_pending: bool) -> Draft:
        """Begin with what time has done to silent devices."""
        assert self._committed is not None
        draft = self._draft = Draft(self._committed, self._clock.monotonic())
        timers = self._limits.part_of(TIMERS_A_DRAFT)
        result = self._timers.run_due(draft, timers, nothing_pending=nothing_pending)
        draft.add_timers(result, publish_identities=self._rules.publish_identities)
        return draft

    def _has_something_due(self) -> bool:
        """Whether a transaction is due though no record came."""
        return self._timers.is_due(self._committed) or self._passed_for_long()

    def _passed_for_long(self) -> bool:
        """Whether inputs have been read past what is committed, without a record, for long enough."""
        now = self._clock.monotonic()
        if not self._has_passed():
            self._passed_since = None
        elif self._passed_since is None:
            self._passed_since = now
        return self._passed_since is not None and now >= self._passed_since + self._policy.passed_s

    def _has_passed(self) -> bool:
        if self._committed is None:
            return False
        committed = self._committed.next_offsets
        return any(offset > committed[topic] for topic, offset in self._source.next_offsets().items())

    def _pass_what_holds_no_record(self) -> None:
        """Everything that was returned has been stepped: let the draft go on where the source does."""
        if self._draft is not None or self._has_passed():
            draft = self._draft or self._open_draft(nothing_pending=False)
            draft.go_on_at(self._source.next_offsets())
            self._passed_since = None

    def _wait_s(self) -> float:
        draft = self._draft
        if draft is None:
            return 0.0 if self._has_something_due() else _IDLE_WAIT_S
        due_at = self._policy.due_at(
            draft.opened_at, self._source.lag().records, repartitioning=bool(draft.leaving)
        )
        return max(0.0, due_at - self._clock.monotonic())

    def _is_full(self) -> bool:
        return self._draft is not None and self._limits.is_full(self._fullness(self._draft))

    def _fullness(self, draft: Draft) -> float:
        events = min(self._policy.events, self._memory.events_per_draft)
        return draft.fullness(events, self._memory.bytes_per_draft, TIMERS_A_DRAFT)

    async def _commit_draft(self) -> None:
        if self._draft is not None and not self._draft.is_empty:
            await self._commit(self._draft)
        self._draft = None

    async def _commit(self, draft: Draft) -> None:
        """One transaction: outputs, changelog, offsets; then the store. A failure before leaves no trace."""
        started = self._clock.monotonic()
        state_records, timer_records = draft.state_records(), draft.timer_records()
        await self._transaction.begin()
        for topic, partition, records in self._outlets.of(draft):
            await self._transaction.send(topic, records, partition)
        for partition, leaving in draft.leaving.items():
            await self._transaction.forward(self._topics.repartition, partition, leaving)
        await self._transaction.send(self._topics.changelog, [(k, value, None) for k, value in state_records])
        next_offsets = await self._transaction.acknowledged()
        await self._transaction.add_offsets(draft.next_offsets, draft.incarnation)
        await self._transaction.commit()
        self._silent_since = self._clock.monotonic()
        self._committed = draft.meta()
        changelog_offset = next_offsets[self._topics.changelog]
        refuse_another_life(self.partition, self._store.checkpoint(), changelog_offset)
        checkpoint = checkpoint_at(changelog_offset, self._committed.incarnation, self._clock)
        self._store.write([*state_records, *timer_records], checkpoint)
        self._timers.written(timer_records)
        self._live_states.keep(draft.committed_states())
        self._setbacks.committed()
        seconds = self._clock.monotonic() - started
        self._limits.committed(self._fullness(draft), seconds)
        delay_ms = None if draft.received_ms is None else self._wall_clock.wall_ms() - draft.received_ms
        self.statistics.add(draft, seconds, delay_ms)
        self._wall_clock.committed(self.partition, self._committed)

    async def _keep_store_fresh(self) -> None:
        """Make the store survive a kill, and date its checkpoint anew: a quiet one must not grow old."""
        last = self._store.checkpoint()
        if last is not None:
            self._store.write((), checkpoint_at(last.changelog_offset, last.incarnation, self._clock))
        await self._store.flush()
        self._next_flush = self._clock.monotonic() + _FLUSH_INTERVAL_S

    # --- trouble ---

    async def _lose(self, lost: TransactionLost) -> None:
        """The one remedy: drop draft and producer, and be sure to be the owner before fencing in turn."""
        self.statistics.transactions_lost += 1
        events = 0 if self._draft is None else self._draft.events
        if self._draft is not None and lost.timed_out:
            self._limits.timed_out(self._fullness(self._draft))
        self._setbacks.lose(lost, events, told=not self._abandoned)
        self._enter(TaskState.RESTORING)  # at once: what the source has returned is not there any more
        self._drop_uncommitted()
        if not self._stopping and not await self._source.still_assigned():
            self.abandon()

    async def _forget(self, corrupted: StateCorrupted) -> None:
        """The store is unusable: wipe it; the next start restores it whole."""
        self._setbacks.corrupt(corrupted)
        self._enter(TaskState.RESTORING)
        self._drop_uncommitted()
        await self._store.wipe()

    def _drop_uncommitted(self) -> None:
        """Leave nothing of the draft; the live states go too, because the outcome may be unknown."""
        self._draft = None
        self._live_states.clear()
        self._transaction.discard()

    def _enter(self, state: TaskState) -> None:
        self.state = moved(self.state, state)
