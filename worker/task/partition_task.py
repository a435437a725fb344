"""The life of one input partition on this worker: fence, restore, check, seek, run, close.

Decides when to process, commit, restore and give up; knows ports, never Kafka or RocksDB. It awaits port
methods only, so a simulation can step it. Invariants:

1. A task whose producer is not fenced holds exactly the state that the changelog holds: another writer must
   fence first, and then this task's next transaction fails. So a kept task reads on over a rebalance.
2. The changelog's meta record, read after fencing, says where to read on; the group's offsets confirm it.
3. The store is written after the commit, its checkpoint in the same write: a crash leaves it behind, never
   ahead.
4. After any failure of a transaction nothing of its draft is left: states, watermark, offsets and counters.
5. The offset to go on from is past everything that holds no record (markers, aborted and compacted records);
   it is committed with the next draft, or alone when nothing comes. So the log may be emptied up to it.
"""

from collections.abc import Callable
from enum import Enum, auto
from functools import partial

from msgspec import Struct

from worker import telemetry
from worker.engine.protocol import Counters, Drafted, Engine, EngineOptions
from worker.errors import StateCorrupted, TransactionLost
from worker.model.records import Records
from worker.model.rules import Rules
from worker.model.state import Meta
from worker.ports import Lag, TaskPorts
from worker.task.commit_policy import CommitPolicy, DraftLimits, MemoryBudget
from worker.task.failures import FailureStreak
from worker.task.layout import Layout
from worker.task.offset_checks import reject_recreated_changelog
from worker.task.open_draft import OpenDraft
from worker.task.partitioner_check import PartitionerCheck
from worker.task.restore import checkpoint_at
from worker.task.startup import StartQueue, Startup
from worker.task.status import Progress, TaskStatistics
from worker.task.stored_devices import stored_devices
from worker.task.timers import TIMERS_A_DRAFT, TimerService
from worker.task.wall_clock import WallClock

_IDLE_WAIT_S = 2.0  # how often an idle partition looks at the time; there may be hundreds of them
_FLUSH_INTERVAL_S = 300.0
_STEP_BYTES = 256 * 1024


class TaskState(Enum):
    """How far a task is, from its start to its end."""

    NEW = auto()
    RESTORING = auto()
    RUNNING = auto()
    CLOSED = auto()


_LEGAL_MOVES = {
    (TaskState.NEW, TaskState.RESTORING),
    (TaskState.RESTORING, TaskState.RESTORING),  # a transaction was lost while starting: start again
    (TaskState.RESTORING, TaskState.RUNNING),
    (TaskState.RUNNING, TaskState.RESTORING),  # a transaction was lost: the changelog has what was committed
    (TaskState.NEW, TaskState.CLOSED),
    (TaskState.RESTORING, TaskState.CLOSED),
    (TaskState.RUNNING, TaskState.CLOSED),
}


class Topology(Struct, frozen=True):
    """What a task reads, what it does with it, and where the outputs go."""

    layout: Layout
    rules: Rules
    make_engine: Callable[[EngineOptions], Engine]


class ProcessServices(Struct, frozen=True):
    """What all tasks of a process share."""

    memory: MemoryBudget
    wall_clock: WallClock
    start_queue: StartQueue
    partitioner_check: PartitionerCheck


class PartitionTask:
    """One partition: ``run`` it; ``stop`` finishes its draft, ``abandon`` leaves that to the new owner."""

    def __init__(
        self,
        partition: int,
        topology: Topology,
        ports: TaskPorts,
        services: ProcessServices,
        policy: CommitPolicy,
        max_store_age_s: float,
    ) -> None:
        """``max_store_age_s``: a store that was not written for longer is restored whole."""
        self.partition = partition
        self.state = TaskState.NEW
        self.statistics = TaskStatistics()
        self._topics = topology.layout.topics
        self._rules = topology.rules
        self._source = ports.source
        self._transaction = ports.transaction
        self._changelog = ports.changelog
        self._store = ports.store
        self._clock = ports.clock
        self._memory = services.memory
        self._wall_clock = services.wall_clock
        self._start_queue = services.start_queue
        self._partitioner_check = services.partitioner_check
        self._policy = policy
        options = topology.layout.engine_options(partition, topology.rules)
        self._make_engine = partial(topology.make_engine, options)
        self._engine = self._make_engine()
        self._timers = TimerService(self._rules, self._source, self._store, self._wall_clock)
        self._startup = Startup(partition, topology.layout, ports, services.start_queue, max_store_age_s)
        self._failures = FailureStreak(partition, self._topics)
        self._limits = DraftLimits(policy.slow_s)
        self._committed: Meta | None = None
        self._draft: OpenDraft | None = None
        self._stopping = False
        self._abandoned = False
        self._next_flush = 0.0
        self._last_transaction_at = 0.0
        self._past_since: float | None = None  # since when the source is past what is committed

    # --- for the worker ---

    def stop(self) -> None:
        """Commit what is drafted, then end."""
        self._stopping = True
        self._source.wake()
        self._start_queue.wake(self.partition)

    def abandon(self) -> None:
        """End soon, without a last commit: the partition belongs to another worker."""
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
        """How far it has come, and whether it has work."""
        lag = self.lag
        idle = self._draft is None and lag.records == 0  # an unknown lag may be work
        certain = not self._failures.transactions_lost or lag.caught_up
        checkpoint = self._store.checkpoint()
        return Progress(idle and certain, -1 if checkpoint is None else checkpoint.changelog_offset)

    def take_statistics(self) -> TaskStatistics:
        """What was done since the last call."""
        taken, self.statistics = self.statistics, TaskStatistics()
        return taken

    async def run(self) -> None:
        """Start and process until stopped or abandoned. Raises Fatal when only a human can help."""
        try:
            while not self._stopping:
                try:
                    await self._start_in_turn()
                    if self.state is TaskState.RUNNING:  # not where it was asked to stop while starting
                        await self._consume()
                except TransactionLost as error:
                    await self._transaction_lost(error)
                except StateCorrupted as error:
                    await self._state_corrupted(error)
        finally:
            self._enter(TaskState.CLOSED)
            self._transaction.discard()
            try:
                await self._changelog.close()
            finally:
                await self._store.close()

    # --- start ---

    async def _start_in_turn(self) -> None:
        self._enter(TaskState.RESTORING)
        await self._start_queue.enter(self.partition, lambda: self._stopping)
        try:
            if not self._stopping:
                await self._start()
        finally:
            self._start_queue.leave(self.partition)

    async def _start(self) -> None:
        """Fence, restore and check; commit where to go on if that is new; seek."""
        self._last_transaction_at = self._clock.monotonic()
        start = await self._startup.run(lambda: self._stopping)
        if start is None:
            return
        if start.is_changed:
            await self._commit(self._begin(start.meta))
        else:
            self._committed = start.meta
        telemetry.emit(start.event)
        await self._changelog.close()  # an open reader would fetch all that this task writes
        self._timers.restored()
        self._source.seek(start.meta.next_offsets)
        self._enter(TaskState.RUNNING)
        self._next_flush = self._clock.monotonic()  # at once: the next start need not restore this again

    # --- run: process and commit ---

    async def _consume(self) -> None:
        while not self._abandoned:
            caught_up = self._source.lag().caught_up
            records = await self._source.next_records(self._wait_s())
            if caught_up and records:
                self._wall_clock.arrived(records, self._topics.timed_by_brokers)
            if not records and self._draft is None and self._is_something_due():
                self._open_draft(nothing_pending=True)
            place = 0
            while place < len(records):
                place = self._step(records, place)
                if self._is_full():
                    await self._commit_draft()
                await self._clock.sleep(0)
            is_due = self._draft is not None and (self._is_full() or self._wait_s() == 0.0)
            if is_due or (self._stopping and not self._abandoned):
                self._pass_offsets_without_records()
                await self._commit_draft()
            if self._stopping:
                return
            now = self._clock.monotonic()
            if self._draft is None and now >= self._last_transaction_at + self._policy.silence_s:
                assert self._committed is not None
                await self._commit(self._begin(self._committed))
            if self._clock.monotonic() >= self._next_flush:
                await self._flush_store()

    def _step(self, records: Records, place: int) -> int:
        """Take records of one input from ``place`` on into the draft; the place of the next. Sends nothing.

        Left out is what is in the draft already: a fetch that runs during a rebalance begins again at the
        committed offset.
        """
        draft = self._draft or self._open_draft(nothing_pending=False)
        place = max(place, records.place_of(draft.next_offsets[records.topic]))
        if place == len(records):
            return place
        reading = self._engine.read(records, place, self._limits.part_of(_STEP_BYTES))
        self._engine.step(stored_devices(self._store, reading.unknown))
        draft.next_offsets[records.topic] = reading.next_offset
        return reading.end

    def _open_draft(self, *, nothing_pending: bool) -> OpenDraft:
        """A new draft, which begins with the timers that are due."""
        assert self._committed is not None
        draft = self._draft = self._begin(self._committed)
        most = self._limits.part_of(TIMERS_A_DRAFT)
        fired, now_ms = self._timers.due(self._committed, most, nothing_pending=nothing_pending)
        if fired:
            unknown = self._engine.due(fired)
            self._engine.run_timers(stored_devices(self._store, unknown), now_ms)
        return draft

    def _begin(self, base: Meta) -> OpenDraft:
        self._engine.begin(base)
        return OpenDraft(base, self._clock.monotonic())

    def _is_something_due(self) -> bool:
        """Whether a transaction is due although no record came."""
        return self._timers.is_due(self._committed) or self._is_long_past_committed()

    def _is_long_past_committed(self) -> bool:
        """Whether the source is past what is committed for long enough to commit offsets without records."""
        now = self._clock.monotonic()
        if not self._is_past_committed():
            self._past_since = None
        elif self._past_since is None:
            self._past_since = now
        return self._past_since is not None and now >= self._past_since + self._policy.passed_s

    def _is_past_committed(self) -> bool:
        """Whether the source is past the committed offsets; without a draft it passed no record."""
        if self._committed is None:
            return False
        committed = self._committed.next_offsets
        return any(offset > committed[topic] for topic, offset in self._source.next_offsets().items())

    def _pass_offsets_without_records(self) -> None:
        """Every returned record was processed: move the draft on to where the source is."""
        if self._draft is not None or self._is_past_committed():
            draft = self._draft or self._open_draft(nothing_pending=False)
            draft.pass_to(self._source.next_offsets())
            self._past_since = None

    def _wait_s(self) -> float:
        draft = self._draft
        if draft is None:
            return 0.0 if self._is_something_due() else _IDLE_WAIT_S
        lag, repartitioning = self._source.lag().records, self._engine.counters.events_repartitioned > 0
        due_at = self._policy.due_at(draft.opened_at, lag, repartitioning=repartitioning)
        return max(0.0, due_at - self._clock.monotonic())

    def _is_full(self) -> bool:
        return self._draft is not None and self._limits.is_full(self._fullness(self._engine.counters))

    def _fullness(self, counters: Counters) -> float:
        events = min(self._policy.events, self._memory.events_per_draft)
        return counters.fullness(events, self._memory.bytes_per_draft, TIMERS_A_DRAFT)

    async def _commit_draft(self) -> None:
        if self._draft is not None and not self._draft.is_empty(self._engine.counters):
            await self._commit(self._draft)
        self._draft = None

    async def _commit(self, draft: OpenDraft) -> None:
        """One transaction, then the store. A failure before leaves no trace."""
        started = self._clock.monotonic()
        drafted = self._engine.draft(draft.next_offsets)
        changelog_offset = await self._transact(drafted)
        self._last_transaction_at = self._clock.monotonic()
        self._committed = drafted.meta
        reject_recreated_changelog(self.partition, self._store.checkpoint(), changelog_offset)
        checkpoint = checkpoint_at(changelog_offset, self._committed.incarnation, self._clock)
        self._store.write([*drafted.states, *drafted.timers], checkpoint)
        self._timers.written(drafted.timers)
        self._engine.committed(self._memory.devices_per_task)
        self._failures.committed()
        counters, seconds = drafted.counters, self._clock.monotonic() - started
        self._limits.committed(self._fullness(counters), seconds)
        delay_ms = None if counters.received_ms is None else self._wall_clock.wall_ms() - counters.received_ms
        self.statistics.add(counters, seconds, delay_ms)
        self._partitioner_check.add(counters.misplaced_keys, counters.explained_keys)
        self._wall_clock.committed(self.partition, self._committed)

    async def _transact(self, drafted: Drafted) -> int:
        """Commit outputs, changelog and offsets; the changelog's offset after what was written."""
        topics, transaction = self._topics, self._transaction
        await transaction.begin()
        for outgoing in drafted.outgoing:
            await transaction.send(topics.outputs[outgoing.role], outgoing, outgoing.partition)
        for partition, leaving in drafted.leaving.items():
            await transaction.forward(topics.repartition, partition, leaving)
        await transaction.send(topics.changelog, [(key, value, None) for key, value in drafted.states])
        next_offsets = await transaction.acknowledged()
        await transaction.add_offsets(drafted.meta.next_offsets, drafted.meta.incarnation)
        await transaction.commit()
        return next_offsets[topics.changelog]

    async def _flush_store(self) -> None:
        """Make the store survive a kill, and renew its checkpoint's time: a quiet store must not grow old."""
        last = self._store.checkpoint()
        if last is not None:
            self._store.write((), checkpoint_at(last.changelog_offset, last.incarnation, self._clock))
        await self._store.flush()
        self._next_flush = self._clock.monotonic() + _FLUSH_INTERVAL_S

    # --- failures ---

    async def _transaction_lost(self, error: TransactionLost) -> None:
        """Drop draft and producer, and make sure that the partition is still assigned before fencing."""
        self.statistics.transactions_lost += 1
        counters = None if self._draft is None else self._engine.counters
        if counters is not None and error.timed_out:
            self._limits.timed_out(self._fullness(counters))
        events = 0 if counters is None else counters.events
        self._failures.transaction_lost(error, events, log=not self._abandoned)
        self._enter(TaskState.RESTORING)  # at once: the records that the source has returned are lost
        self._drop_uncommitted()
        if not self._stopping and not await self._source.still_assigned():
            self.abandon()

    async def _state_corrupted(self, error: StateCorrupted) -> None:
        """Wipe the store; the next start restores it whole."""
        self._failures.state_corrupted(error)
        self._enter(TaskState.RESTORING)
        self._engine = self._make_engine()  # it may have raised this, and is then not called again
        self._drop_uncommitted()
        await self._store.wipe()

    def _drop_uncommitted(self) -> None:
        """Leave nothing of the draft. States in memory go too, because the outcome may be unknown."""
        self._draft = None
        self._engine.abandon()
        self._transaction.discard()

    def _enter(self, state: TaskState) -> None:
        assert (self.state, state) in _LEGAL_MOVES, f"illegal move {self.state} -> {state}"
        self.state = state
