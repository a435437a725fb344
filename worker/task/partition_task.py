"""The life of one input partition on this worker, from FENCE to CLOSED.

Decides when to step, commit, restore and give up; knows ports, never Kafka or RocksDB. Awaits port methods
only, so a simulation can step it. Invariants:

1. A task whose producer is not fenced holds exactly the state that the changelog holds: another writer must
   fence first, and then this task's next transaction fails. So it reads on over a rebalance without restoring
   anew.
2. The changelog's meta record, read after fencing, says where to read on; the group's committed offset only
   confirms it.
3. The store is written after the commit, with its checkpoint in the same batch: a crash leaves it behind,
   never ahead.
4. After any failure of a transaction nothing of its draft is left: states, watermark, offsets and counters.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto

from msgspec import Struct

from worker import telemetry
from worker.core.decode import Decoder
from worker.core.encode import encode_step
from worker.core.pipeline import decode_records, process
from worker.core.state_records import SCHEMA_VERSION, cold_key, decode_state, hot_key
from worker.errors import Fatal, StateCorrupted, TransactionLost
from worker.model.events import InputRecord
from worker.model.rules import Rules
from worker.model.state import Checkpoint, DeviceState, Meta
from worker.ports import Changelog, Clock, Source, StateStore, Transaction
from worker.task.draft import Draft
from worker.task.live_states import LiveStates, LiveStatesBudget
from worker.task.restoring import Restored, restore
from worker.task.statistics import TaskStatistics


class TaskState(Enum):
    """Where a task is in its life."""

    NEW = auto()
    RESTORING = auto()
    RUNNING = auto()
    CLOSED = auto()


_LEGAL = {
    (TaskState.NEW, TaskState.RESTORING),
    (TaskState.RESTORING, TaskState.RESTORING),
    (TaskState.RESTORING, TaskState.RUNNING),
    (TaskState.RUNNING, TaskState.RESTORING),
    (TaskState.NEW, TaskState.CLOSED),
    (TaskState.RESTORING, TaskState.CLOSED),
    (TaskState.RUNNING, TaskState.CLOSED),
}

_IDLE_WAIT_S = 0.5
_FLUSH_INTERVAL_S = 300.0
_SLICE_BYTES = 256 * 1024
_REFUSALS_BEFORE_GIVING_UP = 5
_CORRUPTIONS_BEFORE_GIVING_UP = 3
_AGREEMENT_S = 2.0


class TaskTopics(Struct, frozen=True, kw_only=True):
    """The topics a task reads from and writes to."""

    raw: str
    enriched: str
    dead_letters: str
    changelog: str


class CommitPolicy(Struct, frozen=True, kw_only=True):
    """When a transaction is due: after ``interval_s`` when caught up; when behind, at ``events`` or
    ``behind_s``.
    """

    interval_s: float = 0.1
    behind_s: float = 1.0
    events: int = 4_000


class PartitionTask:
    """One partition: ``run`` it, ask it to ``stop`` (finish the draft) or to ``abandon`` (leave it to the new
    owner).
    """

    def __init__(
        self,
        partition: int,
        *,
        topics: TaskTopics,
        rules: Rules,
        decoder: Decoder,
        policy: CommitPolicy,
        source: Source,
        transaction: Transaction,
        changelog: Changelog,
        store: StateStore,
        clock: Clock,
        live_states: LiveStatesBudget,
        new_incarnation: Callable[[], str],
        max_store_age_s: float,
    ) -> None:
        self.partition = partition
        self.state = TaskState.NEW
        self.statistics = TaskStatistics()
        self._topics = topics
        self._rules = rules
        self._decoder = decoder
        self._policy = policy
        self._source = source
        self._transaction = transaction
        self._changelog = changelog
        self._store = store
        self._clock = clock
        self._live_states = LiveStates(live_states)
        self._new_incarnation = new_incarnation
        self._max_store_age_s = max_store_age_s
        self._committed: Meta | None = None
        self._draft: Draft | None = None
        self._stopping = False
        self._abandoned = False
        self._lost_in_a_row = 0
        self._refused_in_a_row = 0
        self._corrupted_in_a_row = 0
        self._next_flush = 0.0

    # --- what the worker may ask
    # ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """Finish what is drafted, then end."""
        self._stopping = True
        self._source.wake()

    def abandon(self) -> None:
        """End without another commit: the partition belongs to somebody else."""
        self._stopping = self._abandoned = True
        self._source.wake()

    @property
    def lag(self) -> int:
        """Records of the input not yet returned to this task."""
        return self._source.lag()

    @property
    def watermark_ms(self) -> int | None:
        """The committed event watermark; None before the task has run."""
        return None if self._committed is None else self._committed.watermark_ms

    def take_statistics(self) -> TaskStatistics:
        """What was done since the last call."""
        taken, self.statistics = self.statistics, TaskStatistics()
        return taken

    async def run(self) -> None:
        """Live until stopped or abandoned. Raises Fatal when only a human can help."""
        try:
            while not self._stopping:
                try:
                    await self._store.open()
                    await self._start()
                    await self._consume()
                except TransactionLost as lost:
                    await self._lose(lost)
                except StateCorrupted as corrupted:
                    await self._forget(corrupted)
        finally:
            self._enter(TaskState.CLOSED)
            self._transaction.discard()
            await self._changelog.close()
            await self._store.close()

    # --- start: fence, restore, agree, seek
    # ------------------------------------------------------------------------

    async def _start(self) -> None:
        self._enter(TaskState.RESTORING)
        await self._transaction.fence()
        restored = await restore(
            self.partition,
            self._changelog,
            self._store,
            self._clock,
            self._max_store_age_s,
            lambda: self._stopping,
        )
        if self._stopping:
            return
        if restored.meta is None:
            await self._found()
        else:
            await self._continue_from(restored)
        assert self._committed is not None
        self._source.seek(self._committed.next_offsets)
        self._enter(TaskState.RUNNING)
        self._next_flush = self._clock.monotonic() + _FLUSH_INTERVAL_S

    async def _found(self) -> None:
        """First life: write down where it begins, before anything else, so that it is decided once."""
        committed = await self._source.committed_offsets()
        if committed:
            raise Fatal(
                f"partition {self.partition}: the group has committed offsets {committed} but the changelog "
                f"{self._topics.changelog} is empty: its state is lost. Restore the changelog topic, or start a new "
                "group (kafka.group_id), which reads the raw topic again from kafka.start_from"
            )
        base = Meta(
            schema=SCHEMA_VERSION,
            incarnation=self._new_incarnation(),
            raw_topic=self._topics.raw,
            next_offsets=await self._source.first_offsets(),
        )
        self._draft = Draft(base, self._clock.monotonic())
        await self._commit(self._draft)
        telemetry.emit(telemetry.PartitionFounded(partition=self.partition, next_offsets=base.next_offsets))

    async def _continue_from(self, restored: Restored) -> None:
        """Go on where the changelog says, if the group's offsets do not contradict it."""
        meta = restored.meta
        assert meta is not None
        if meta.raw_topic != self._topics.raw:
            raise Fatal(
                f"partition {self.partition}: the changelog {self._topics.changelog} belongs to raw topic "
                f"{meta.raw_topic}, not {self._topics.raw}: give this deployment its own kafka.group_id"
            )
        deadline = self._clock.monotonic() + _AGREEMENT_S
        while True:
            committed = await self._source.committed_offsets()
            if not committed or committed == {topic: meta.next_offsets.get(topic) for topic in committed}:
                break
            # The broker answers the last commit before its markers are written (KIP-447 asks for stable
            # offsets).
            if self._clock.monotonic() > deadline:
                raise Fatal(
                    f"partition {self.partition}: the group's committed offsets {committed} are not the changelog's "
                    f"{meta.next_offsets}: somebody reset the one or the other. Either set the group's offsets back to the "
                    "changelog's (kafka-consumer-groups --reset-offsets), which keeps the state, or start a new group "
                    "(kafka.group_id), which builds it anew"
                )
            await self._clock.sleep(0.1)
        self._committed = meta
        telemetry.emit(
            telemetry.PartitionRestored(
                partition=self.partition,
                records=restored.records,
                devices=restored.devices,
                seconds=round(restored.seconds, 3),
                next_offsets=meta.next_offsets,
            )
        )

    # --- run: step and commit
    # ------------------------------------------------------------------------------------

    async def _consume(self) -> None:
        while not self._abandoned:
            records = await self._source.next_records(self._wait_s())
            for piece in slices(records, _SLICE_BYTES):
                self._step(piece)
                if self._is_full():
                    await self._commit_draft()
                await self._clock.sleep(0)
            if self._is_due() or (self._stopping and not self._abandoned):
                await self._commit_draft()
            if self._stopping:
                return
            if self._clock.monotonic() >= self._next_flush:
                await self._keep_store_fresh()

    def _step(self, records: Sequence[InputRecord]) -> None:
        """Take records into the draft. Pure but for the look-ups of states; nothing is sent yet."""
        assert self._committed is not None
        draft = self._draft
        if draft is None:
            draft = self._draft = Draft(self._committed, self._clock.monotonic())
        topic = records[0].topic
        if records[0].offset < draft.next_offsets[topic]:
            # A fetch that was under way over a rebalance begins at the committed offset: drop what is known.
            records = [record for record in records if record.offset >= draft.next_offsets[topic]]
            if not records:
                return
        decoded = decode_records(records, self._decoder)
        states = self._states_of(decoded.device_ids, draft)
        result = process(decoded, states, draft.watermark_ms, self._rules)
        draft.add(topic, records[-1].offset + 1, len(records), result, encode_step(result))

    def _states_of(self, device_ids: frozenset[str], draft: Draft) -> dict[str, DeviceState]:
        states: dict[str, DeviceState] = {}
        drafted, live, store = draft.states, self._live_states, self._store
        for device_id in device_ids:
            state = drafted.get(device_id) or live.get(device_id)
            if state is None:
                hot = store.get(hot_key(device_id))
                if hot is None:
                    continue
                cold = store.get(cold_key(device_id))
                try:
                    state = decode_state(hot, cold or b"")
                except ValueError as error:
                    raise StateCorrupted(f"a device's record does not decode: {error}") from error
            states[device_id] = state
        return states

    def _wait_s(self) -> float:
        if self._draft is None:
            return _IDLE_WAIT_S
        return max(0.0, self._due_at(self._draft) - self._clock.monotonic())

    def _due_at(self, draft: Draft) -> float:
        behind = self._source.lag() > 0
        return draft.opened_at + (self._policy.behind_s if behind else self._policy.interval_s)

    def _is_full(self) -> bool:
        return self._draft is not None and self._draft.events >= self._policy.events

    def _is_due(self) -> bool:
        return self._draft is not None and self._clock.monotonic() >= self._due_at(self._draft)

    async def _commit_draft(self) -> None:
        if self._draft is not None and self._draft.records:
            await self._commit(self._draft)
        self._draft = None

    async def _commit(self, draft: Draft) -> None:
        """One transaction: outputs, changelog, offsets; then the store. Any failure before the end leaves no
        trace.
        """
        started = self._clock.monotonic()
        state_records = draft.state_records()
        await self._transaction.begin()
        await self._transaction.send(self._topics.enriched, draft.enriched)
        await self._transaction.send(self._topics.dead_letters, draft.dead_letters)
        await self._transaction.send(
            self._topics.changelog, [(key, value, None) for key, value in state_records]
        )
        next_offsets = await self._transaction.acknowledged()
        await self._transaction.add_offsets(draft.next_offsets)
        await self._transaction.commit()
        self._committed = draft.meta()
        self._store.write(state_records, self._checkpoint(next_offsets[self._topics.changelog]))
        self._live_states.keep(draft.committed_states())
        self._lost_in_a_row = self._refused_in_a_row = self._corrupted_in_a_row = 0
        self.statistics.add(draft, self._clock.monotonic() - started)

    def _checkpoint(self, changelog_offset: int) -> Checkpoint:
        assert self._committed is not None
        return Checkpoint(
            schema=SCHEMA_VERSION,
            incarnation=self._committed.incarnation,
            changelog_offset=changelog_offset,
            written_at_ms=self._clock.wall_ms(),
        )

    async def _keep_store_fresh(self) -> None:
        """Make the store survive a kill, and say that it was up to date at this time: a quiet one must not
        grow old.
        """
        checkpoint = self._store.checkpoint()
        if checkpoint is not None:
            self._store.write((), self._checkpoint(checkpoint.changelog_offset))
        await self._store.flush()
        self._next_flush = self._clock.monotonic() + _FLUSH_INTERVAL_S

    # --- trouble
    # -----------------------------------------------------------------------------------------------------

    async def _lose(self, lost: TransactionLost) -> None:
        """The one remedy: drop the draft and the producer, and be sure to be the owner before fencing in
        turn.
        """
        self._lost_in_a_row += 1
        self.statistics.transactions_lost += 1
        if not self._abandoned:
            telemetry.emit(
                telemetry.TransactionLost(
                    partition=self.partition,
                    cause=str(lost),
                    events=self._draft.events if self._draft is not None else 0,
                    in_a_row=self._lost_in_a_row,
                )
            )
        self._refused_in_a_row = self._refused_in_a_row + 1 if lost.refused else 0
        if self._refused_in_a_row >= _REFUSALS_BEFORE_GIVING_UP:
            raise Fatal(
                f"partition {self.partition}: the broker refused the same transaction {self._refused_in_a_row} times: {lost}"
            ) from lost
        self._draft = None
        self._live_states.clear()
        self._transaction.discard()
        if not self._stopping and not await self._source.still_assigned():
            self.abandon()

    async def _forget(self, corrupted: StateCorrupted) -> None:
        """The store is unusable: wipe it; the next start restores it whole."""
        self._corrupted_in_a_row += 1
        if self._corrupted_in_a_row >= _CORRUPTIONS_BEFORE_GIVING_UP:
            raise Fatal(
                f"partition {self.partition}: state unusable {self._corrupted_in_a_row} times in a row, also when restored: "
                f"{corrupted}"
            ) from corrupted
        self._draft = None
        self._live_states.clear()
        self._transaction.discard()
        telemetry.emit(telemetry.StateWiped(partition=self.partition, reason=str(corrupted)))
        await self._store.wipe()

    def _enter(self, state: TaskState) -> None:
        assert (self.state, state) in _LEGAL, f"illegal move {self.state} -> {state}"
        self.state = state


def slices(records: Sequence[InputRecord], max_bytes: int) -> list[Sequence[InputRecord]]:
    """Cut records into pieces of about ``max_bytes`` of value each (at least one record), so that none takes
    long.

    A piece never holds records of two topics.
    """
    pieces: list[Sequence[InputRecord]] = []
    start = 0
    size = 0
    for position, record in enumerate(records):
        length = len(record.value) if record.value is not None else 0
        if position > start and (size + length > max_bytes or record.topic != records[start].topic):
            pieces.append(records[start:position])
            start, size = position, 0
        size += length
    return [*pieces, *([records[start:]] if records else [])]
