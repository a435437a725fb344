"""Steps the real partition task on the simulated world: one seed, one history.

Decides whose turn it is; the task's coroutines are driven by hand, so there is no event loop and no other
order than the seed's. At any time at most one worker is the partition's owner, as a group would have it;
others may be paused, fenced or on their way out. Invariant: whatever is random comes from ``World.random``.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

from tests.builders import Record
from tests.simulation.broken import BrokenPromiseError
from tests.simulation.checks import RULES, TOPICS, Reference, check_all, check_store
from tests.simulation.ports import (
    FakeChangelog,
    FakeClock,
    FakeSource,
    FakeTransaction,
    KilledError,
    Life,
)
from tests.simulation.store import Disk, FakeStateStore
from tests.simulation.traffic import RAW_TOPIC
from tests.simulation.world import World
from worker.core.decode import Decoder
from worker.core.partitioning import Partitioning
from worker.core.state_records import META_KEY, decode_meta
from worker.core.timers import due_range
from worker.task.commit_policy import CommitPolicy
from worker.task.intake import Intake
from worker.task.life_cycle import TaskState
from worker.task.memory_budget import MemoryBudget
from worker.task.misrouting import Misrouting
from worker.task.partition_task import PartitionTask

MAX_STEPS = 20_000
"""Liveness: within so many steps after the last fault everything is consumed; a usual run takes hundreds."""

_DECODER = Decoder(RULES.input, RULES.identity)
_PARTITIONING = Partitioning(partitions=1)
_POLICY = CommitPolicy(interval_s=0.1, behind_s=0.3, events=12)
_DAY_MS = 86_400_000
_MAX_STORE_AGE_S = 3.5 * 86_400


class Worker:
    """A process with one task. ``paused`` is SIGSTOP; ``over`` is true once the coroutine has ended."""

    def __init__(self, simulation: "Simulation", disk: Disk) -> None:
        world = simulation.world
        self.life = Life(world)
        self.disk = disk
        disk.owner = self.life
        self.paused = False
        self.over = False
        self.transaction = simulation.transaction_class(self.life)
        self.source = FakeSource(self.life, simulation.raw, RAW_TOPIC, lambda: simulation.owner is self)
        self.store = FakeStateStore(self.life, disk)
        few = MemoryBudget(0, 0)
        few.share_between(250)  # room for 4 devices, so that states come from the store too
        self.task = simulation.task_class(
            0,
            topics=TOPICS,
            rules=RULES,
            partitioning=_PARTITIONING,
            intake=Intake(0, TOPICS, _DECODER, _PARTITIONING, Misrouting(_PARTITIONING)),
            policy=_POLICY,
            source=self.source,
            transaction=self.transaction,
            changelog=FakeChangelog(self.life, TOPICS.changelog),
            store=self.store,
            clock=FakeClock(self.life),
            memory=few,
            new_incarnation=lambda: f"{world.random.getrandbits(32):08x}",
            max_store_age_s=_MAX_STORE_AGE_S,
        )
        self._run = self.task.run()
        self._ready: Callable[[], bool] = lambda: True

    def inside_transaction(self) -> bool:
        """Whether the broker has a transaction open."""
        return self.life.world.broker.ongoing is not None

    def has_nothing_left(self, next_offset: int, wall_ms: int) -> bool:
        """Whether the task is running, its store is that of this offset, and time has nothing to do in it."""
        if self.task.state is not TaskState.RUNNING or self.disk.corrupt:
            return False
        value = self.store.get(META_KEY)
        if value is None:  # being wiped
            return False
        meta = decode_meta(value)
        return (
            meta.next_offsets[RAW_TOPIC] == next_offset
            and not self.store.keys(*due_range("close", wall_ms), 1)
            and not self.store.keys(*due_range("forget", meta.watermark_ms), 1)
        )

    def can_step(self) -> bool:
        """Whether the coroutine would go on now."""
        return not self.over and not self.paused and self._ready()

    def step(self) -> None:
        """Run to the next wait."""
        self.over = True
        with suppress(StopIteration):
            self._ready = self._run.send(None)
            self.over = False

    def kill(self, survivors: int = 0) -> None:
        """SIGKILL at this wait; of the writes that were not flushed the first ``survivors`` are on disk."""
        self.life.killed = self.over = True
        with suppress(KilledError, StopIteration):
            self._run.throw(KilledError())
        self.disk.crash(survivors)


class Simulation:
    """One partition, its broker, and the workers that come and go."""

    def __init__(
        self,
        seed: int,
        *,
        task_class: type[PartitionTask] = PartitionTask,
        transaction_class: type[FakeTransaction] = FakeTransaction,
    ) -> None:
        self.world = World(seed)
        self.task_class = task_class
        self.transaction_class = transaction_class
        self.raw: list[Record | None] = []
        self.workers: list[Worker] = []
        self.disks: list[Disk] = []
        self.owner: Worker | None = None
        self.steps = 0
        self._all: list[Record | None] = []
        self._coming: list[Record | None] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no coroutine behind, whatever broke."""
        for worker in self.workers:
            if not worker.over:
                worker.kill()

    def feed(self, log: Sequence[Record | None]) -> Self:
        """Let this raw log come in, bit by bit."""
        self._all = [*log]
        self._coming = [*reversed(log)]
        return self

    def start_worker(self, disk: Disk | None = None) -> Worker:
        """Start a process that is given the partition: on this disk, or on a new one."""
        if disk is None:
            disk = Disk()
            self.disks.append(disk)
        worker = Worker(self, disk)
        self.workers.append(worker)
        self.owner = worker
        return worker

    def kill(self, worker: Worker) -> None:
        """Kill it; its disk falls back to what was flushed, or to a little more."""
        random, disk = self.world.random, worker.disk
        worker.kill(random.choice((0, random.randint(0, len(disk.writes) - disk.flushed))))
        self.bury(worker)

    def step(self) -> None:
        """One step of somebody: a worker to its next wait, a request's arrival, or the broker's markers."""
        world, random = self.world, self.world.random
        self.steps += 1
        world.pass_time(idle=False)
        if self._coming and random.random() < 0.2:
            self.raw.append(self._coming.pop())
        workers = [worker for worker in self.workers if worker.can_step()]
        requests = [request for request in world.requests if request.due <= world.now]
        turns = len(workers) + len(requests) + world.broker.owes_markers
        if not turns:
            world.pass_time(idle=True)
            return
        turn = random.randrange(turns)
        if turn < len(workers):
            workers[turn].step()
            if workers[turn].over:
                self.bury(workers[turn])
        elif turn < len(workers) + len(requests):
            request = requests[turn - len(workers)]
            world.requests.remove(request)
            request.deliver()
        else:
            world.broker.write_markers()

    def run_until(self, condition: Callable[[], bool], what: str) -> None:
        """Step until it holds; within ``MAX_STEPS``, or liveness is broken."""
        for _ in range(MAX_STEPS):
            if condition():
                return
            self.step()
        raise BrokenPromiseError(f"P5 liveness: after {MAX_STEPS} steps still not {what}")

    def check(self) -> None:
        """No more faults: everything is consumed, all workers stop, and every promise holds."""
        reference = Reference(self._all)
        self.world.fates.clear()
        for worker in self.workers:
            worker.paused = False
        consumed = {RAW_TOPIC: reference.next_offset}

        def is_consumed() -> bool:
            if self.owner is None:
                self.start_worker()
            return self.world.broker.group_offsets == consumed

        self.run_until(is_consumed, f"consumed up to {consumed}")
        self.world.wall_step_ms += max(0, reference.newest_ms - self.world.wall_ms()) + _DAY_MS

        def is_quiet() -> bool:
            if self.owner is None:
                self.start_worker()
            assert self.owner is not None
            return self.owner.has_nothing_left(reference.next_offset, self.world.wall_ms())

        self.run_until(is_quiet, "all sessions closed")
        for worker in self.workers:
            worker.task.stop()
        self.run_until(lambda: not self.workers and not self.world.broker.owes_markers, "all workers stopped")
        check_all(self.world.broker, reference, self.disks, self.world.fully_read)

    def bury(self, worker: Worker) -> None:
        """A worker has ended: its group hears of it, and its store must be a prefix of the changelog."""
        self.workers.remove(worker)
        if self.owner is worker:
            self.owner = None
        check_store(self.world.broker, worker.disk)
