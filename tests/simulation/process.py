"""One simulated process: a worker with the tasks of the partitions that it believes to be its own.

Follows its assignment as ``worker.task.worker`` does, but is stepped by hand: each task's coroutine goes on
when the simulation says so. Knows no other process. Invariants: at most one task a partition at a time; a
task that stays is not touched but for what the client does to its source at every rebalance.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from tests.simulation.changelog import FakeChangelog
from tests.simulation.life import FakeClock, KilledError, Life
from tests.simulation.source import FakeSource
from tests.simulation.store import Disk, FakeStateStore
from tests.simulation.topics import RULES
from tests.simulation.transaction import FakeTransaction
from worker.core.decode import Decoder
from worker.core.expiry import clock_ms
from worker.core.state_codec import META_KEY, decode_meta, due_range
from worker.ports import TaskPorts
from worker.task.commit_policy import CommitPolicy, MemoryBudget
from worker.task.input_stage import InputStage, PartitionerCheck
from worker.task.layout import Layout
from worker.task.output_partitions import OutputPartitions
from worker.task.partition_task import PartitionTask, ProcessServices, TaskState, Topology
from worker.task.startup import StartQueue
from worker.task.wall_clock import WallClock

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

DECODER = Decoder(RULES.input, RULES.identity)
_POLICY = CommitPolicy(
    interval_s=0.1, repartitioning_s=0.2, behind_s=0.3, behind_records=0, events=12, passed_s=0.3
)
_MAX_STORE_AGE_S = 3.5 * 86_400


class Parts(Struct, frozen=True):
    """What workers are made of: the task, and the ports that a mutation may replace."""

    task: type[PartitionTask] = PartitionTask
    transaction: type[FakeTransaction] = FakeTransaction
    source: type[FakeSource] = FakeSource
    changelog: type[FakeChangelog] = FakeChangelog


class Machine:
    """A directory of stores, one a partition; ``in_use`` by at most one process."""

    def __init__(self) -> None:
        self.disks: dict[int, Disk] = {}
        self.in_use = False

    def disk(self, partition: int) -> Disk:
        """The store directory of a partition."""
        return self.disks.setdefault(partition, Disk())


class RunningTask:
    """One task of a process, and its coroutine. ``over`` is true once that has ended."""

    def __init__(self, simulation: "Simulation", worker: "Worker", partition: int) -> None:
        world, life, parts = simulation.world, worker.life, simulation.parts
        topics, partitioning = simulation.topics, simulation.partitioning
        self.partition = partition
        self.worker = worker
        self.over = False
        self.disk = worker.machine.disk(partition)
        self.store = FakeStateStore(life, self.disk)
        self.transaction = parts.transaction(life, partition)
        self.source = parts.source(
            life, partition, topics.inputs, lambda: worker.is_still_assigned(partition)
        )
        few = MemoryBudget(0, 0)
        few.share_between(250)  # room for 4 devices, so that states come from the store too
        clock = FakeClock(life)
        layout = Layout(topics, simulation.output_partitions.counts, partitioning)
        input_stage = InputStage(partition, layout, DECODER, PartitionerCheck(partitioning))
        topology = Topology(layout, RULES, input_stage, OutputPartitions(partition, layout))
        services = ProcessServices(
            few, WallClock(clock, RULES.session), StartQueue(clock, places=sys.maxsize)
        )
        ports = TaskPorts(
            source=self.source,
            transaction=self.transaction,
            changelog=parts.changelog(life, (topics.changelog, partition)),
            store=self.store,
            clock=clock,
            new_incarnation=lambda: f"{world.random.getrandbits(32):08x}",
        )
        self.task = parts.task(partition, topology, ports, services, _POLICY, _MAX_STORE_AGE_S)
        self._run = self.task.run()
        self._ready: Callable[[], bool] = lambda: True

    def can_step(self) -> bool:
        """Whether the coroutine would go on now."""
        return not self.over and self._ready()

    def step(self) -> None:
        """Run to the next wait."""
        self.over = True
        with suppress(StopIteration):
            self._ready = self._run.send(None)
            self.over = False

    def end(self) -> None:
        """Die at this wait."""
        if self.over:
            return
        self.over = True
        with suppress(KilledError, StopIteration):
            self._run.throw(KilledError())

    def inside_transaction(self) -> bool:
        """Whether the broker has a transaction of this partition open."""
        return self.worker.life.world.broker.producer(self.partition).ongoing is not None

    def has_nothing_left(self, next_offsets: Mapping[str, int], wall_ms: int) -> bool:
        """Whether the task runs, its store is that of these offsets, and time has nothing to do in it."""
        if self.task.state is not TaskState.RUNNING or self.disk.corrupt:
            return False
        value = self.store.get(META_KEY)
        if value is None:  # being wiped
            return False
        meta = decode_meta(value)
        return (
            meta.next_offsets == next_offsets
            and not self.store.keys(*due_range("close", wall_ms), 1)
            and not self.store.keys(*due_range("expire", clock_ms(meta.expiry, RULES)), 1)
        )


class Worker:
    """A process. ``paused`` is SIGSTOP; it is ``over`` once it was killed, or has nothing left to run."""

    def __init__(self, simulation: "Simulation", machine: Machine) -> None:
        self._simulation = simulation
        self.life = Life(simulation.world)
        self.machine = machine
        machine.in_use = True
        self.paused = self.stopping = self.over = False
        self.assigned: frozenset[int] = frozenset()
        self.tasks: dict[int, RunningTask] = {}

    def hear(self) -> None:
        """A rebalance is over: what is ours now? Tasks end, stay or begin."""
        self.assigned = self._simulation.group.assigned_to(self)
        for partition, running in self.tasks.items():
            if partition in self.assigned:
                running.source.rebalanced()
            else:
                running.task.abandon()
        self.begin_what_is_missing()

    def begin_what_is_missing(self) -> None:
        """Begin the tasks of what is ours, once a former one has ended here."""
        for partition in sorted(self.assigned - self.tasks.keys()):
            if not self.stopping:
                self.tasks[partition] = RunningTask(self._simulation, self, partition)

    def is_still_assigned(self, partition: int) -> bool:
        """The group's own answer; where it is no, the rebalance is heard of too."""
        assigned = self._simulation.group.assigned_to(self)
        if partition not in assigned:
            self.hear()
        return partition in assigned

    def ready_tasks(self) -> list[RunningTask]:
        """Those that would go on now."""
        return [] if self.paused else [running for running in self.tasks.values() if running.can_step()]

    def stop(self) -> None:
        """SIGTERM: finish what is drafted, then end."""
        self.stopping = True
        for running in self.tasks.values():
            running.task.stop()
