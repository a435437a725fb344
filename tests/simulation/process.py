"""One simulated process: a worker with the tasks of the partitions that it believes to be its own.

Follows its assignment as ``worker.task.worker`` does, but is stepped by hand: each task's coroutine goes on
when the simulation steps it. Knows no other process. Invariants: at most one task a partition at a time; a
task that stays is not touched, except for what the client does to its source at every rebalance.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from tests.engines import twin
from tests.simulation.changelog import FakeChangelog
from tests.simulation.client import Client, FakeClock, KilledError
from tests.simulation.group import Group
from tests.simulation.source import FakeSource
from tests.simulation.store import Disk, FakeStateStore
from tests.simulation.topics import RULES
from tests.simulation.transaction import FakeTransaction
from tests.simulation.world import World
from worker.core.decode import Decoder
from worker.core.expiry import clock_ms
from worker.core.partitioner import Partitioning
from worker.core.state_codec import META_KEY, decode_meta, due_range
from worker.engine.protocol import Engine, EngineOptions
from worker.engine.readable import ReadableEngine
from worker.ports import TaskPorts
from worker.task.commit_policy import CommitPolicy, MemoryBudget
from worker.task.layout import Layout, TaskTopics
from worker.task.partition_task import PartitionTask, ProcessServices, TaskState, Topology
from worker.task.partitioner_check import PartitionerCheck
from worker.task.startup import StartQueue
from worker.task.wall_clock import WallClock

DECODER = Decoder(RULES.input, RULES.identity)
_POLICY = CommitPolicy(
    interval_s=0.1, repartitioning_s=0.2, behind_s=0.3, behind_records=0, events=12, passed_s=0.3
)
_MAX_STORE_AGE_S = 3.5 * 86_400


def readable_engine(options: EngineOptions) -> Engine:
    """The readable one alone, whose insides a mutant may change."""
    return ReadableEngine(options, DECODER)


class Parts(Struct, frozen=True):
    """What workers are made of: the task, its engine, and the ports that a mutant may replace."""

    task: type[PartitionTask] = PartitionTask
    engine: Callable[[EngineOptions], Engine] = twin
    transaction: type[FakeTransaction] = FakeTransaction
    source: type[FakeSource] = FakeSource
    changelog: type[FakeChangelog] = FakeChangelog


class Deployment(Protocol):
    """What all processes of a simulation share."""

    world: World
    parts: Parts
    topics: TaskTopics
    partitioning: Partitioning
    output_counts: Mapping[str, int]
    group: Group["Worker"]


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

    def __init__(self, deployment: Deployment, worker: "Worker", partition: int) -> None:
        world, client, parts = deployment.world, worker.client, deployment.parts
        topics, partitioning = deployment.topics, deployment.partitioning
        self.partition = partition
        self.worker = worker
        self.over = False
        self.disk = worker.machine.disk(partition)
        self.store = FakeStateStore(client, self.disk)
        self.transaction = parts.transaction(client, partition)
        self.source = parts.source(
            client, partition, topics.inputs, lambda: worker.is_still_assigned(partition)
        )
        few = MemoryBudget(0, 0)
        few.share_between(250)  # memory for 4 devices, so that states come from the store too
        clock = FakeClock(client)
        layout = Layout(topics, deployment.output_counts, partitioning)
        topology = Topology(layout, RULES, parts.engine)
        services = ProcessServices(
            few,
            WallClock(clock, RULES.session),
            StartQueue(clock, places=sys.maxsize),
            PartitionerCheck(partitioning),
        )
        ports = TaskPorts(
            source=self.source,
            transaction=self.transaction,
            changelog=parts.changelog(client, (topics.changelog, partition)),
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
        """End it where it waits, as a kill does."""
        if self.over:
            return
        self.over = True
        with suppress(KilledError, StopIteration):
            self._run.throw(KilledError())

    def inside_transaction(self) -> bool:
        """Whether the broker has a transaction of this partition open."""
        return self.worker.client.world.broker.producer(self.partition).ongoing is not None

    def is_idle(self, next_offsets: Mapping[str, int], wall_ms: int) -> bool:
        """Whether the task runs, its store is at these offsets, and no timer is due in it."""
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

    def __init__(self, deployment: Deployment, machine: Machine) -> None:
        self._deployment = deployment
        self.client = Client(deployment.world)
        self.machine = machine
        machine.in_use = True
        self.paused = self.stopping = self.over = False
        self.assigned: frozenset[int] = frozenset()
        self.tasks: dict[int, RunningTask] = {}

    def follow_assignment(self) -> None:
        """A rebalance has ended: end, keep and start tasks by the new assignment."""
        self.assigned = self._deployment.group.assigned_to(self)
        for partition, running in self.tasks.items():
            if partition in self.assigned:
                running.source.rebalanced()
            else:
                running.task.abandon()
        self.start_missing_tasks()

    def start_missing_tasks(self) -> None:
        """Start the tasks of assigned partitions, once a former task has ended here."""
        for partition in sorted(self.assigned - self.tasks.keys()):
            if not self.stopping:
                self.tasks[partition] = RunningTask(self._deployment, self, partition)

    def is_still_assigned(self, partition: int) -> bool:
        """The group's own answer; where it is no, the worker follows the new assignment too."""
        assigned = self._deployment.group.assigned_to(self)
        if partition not in assigned:
            self.follow_assignment()
        return partition in assigned

    def ready_tasks(self) -> list[RunningTask]:
        """The tasks that would go on now."""
        return [] if self.paused else [running for running in self.tasks.values() if running.can_step()]

    def stop(self) -> None:
        """SIGTERM: commit what is drafted, then end."""
        self.stopping = True
        for running in self.tasks.values():
            running.task.stop()
