"""Steps real partition tasks on the simulated world: one seed, one history.

Decides who runs next; the tasks' coroutines are stepped by hand, so there is no event loop and no other
order than the seed's. A partition has at most one owner, as in a group; former owners may be paused, fenced
or about to end. Invariant: everything random comes from ``World.random``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self

from tests.builders import Record
from tests.simulation.broken_promise import BrokenPromiseError
from tests.simulation.checks import check_all, check_store
from tests.simulation.group import Group
from tests.simulation.output_partitions import OutputPartitions
from tests.simulation.process import Machine, Parts, RunningTask, Worker
from tests.simulation.sent_elements import Sent
from tests.simulation.topics import topics_of
from tests.simulation.traffic import Incoming
from tests.simulation.world import World
from worker.core.partitioner import Partitioning
from worker.errors import Fatal, TransactionLost

MAX_STEPS = 20_000
"""Liveness: after the last fault everything is consumed within so many steps; usually it takes hundreds."""

_DAY_MS = 86_400_000


class Simulation:
    """All partitions, their broker, and the workers that start and end."""

    def __init__(
        self,
        seed: int,
        *,
        partitions: int = 1,
        output_counts: Mapping[str, int] | None = None,
        parts: Parts | None = None,
    ) -> None:
        """``output_counts``: how many partitions an output topic has, where not as many as the raw topic."""
        self.world = World(seed)
        self.parts = parts or Parts()
        self.partitioning = Partitioning(partitions=partitions)
        self.topics = topics_of(partitions)
        self.output_counts = output_counts or {}
        self.group: Group[Worker] = Group(partitions)
        self.workers: list[Worker] = []
        self.machines: list[Machine] = []
        self.steps = 0
        self._all: Sequence[Incoming] = ()
        self._coming: list[Incoming] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End every coroutine, also after a failure."""
        for worker in [*self.workers]:
            self._end(worker)

    @property
    def partitions(self) -> range:
        """The numbers of all partitions."""
        return range(self.partitioning.partitions)

    def feed(self, incoming: Sequence[Incoming]) -> Self:
        """Let these raw records arrive one by one."""
        self._all = incoming
        self._coming = [*reversed(incoming)]
        return self

    def start_worker(self, machine: Machine | None = None, partitions: Iterable[int] | None = None) -> Worker:
        """Start a process that is given these partitions, or all; on this machine, or on a new one."""
        if machine is None:
            machine = Machine()
            self.machines.append(machine)
        worker = Worker(self, machine)
        self.workers.append(worker)
        self.group.give(self.partitions if partitions is None else partitions, worker)
        worker.follow_assignment()
        return worker

    def kill(self, worker: Worker, survivors: int | None = None) -> None:
        """SIGKILL: its disks keep what was flushed, and the first ``survivors`` writes after that.

        Without a number, chance decides.
        """
        random, disks = self.world.random, worker.machine.disks
        self._end(worker)
        for partition, disk in disks.items():
            unflushed = len(disk.writes) - disk.flushed
            left = random.choice((0, random.randint(0, unflushed))) if survivors is None else survivors
            disk.crash(min(left, unflushed))
            check_store(self.world.broker, (self.topics.changelog, partition), disk)

    def step(self) -> None:
        """One step: a task runs to its next wait, a request arrives, or the broker writes a marker."""
        world, random = self.world, self.world.random
        self.steps += 1
        world.pass_time(idle=False)
        if self._coming and random.random() < 0.2:
            self._receive(*self._coming.pop())
        tasks = [running for worker in self.workers for running in worker.ready_tasks()]
        requests = [request for request in world.requests if request.due <= world.now]
        turns = len(tasks) + len(requests) + world.broker.may_write_markers
        if not turns:
            world.pass_time(idle=True)
            return
        turn = random.randrange(turns)
        if turn < len(tasks):
            self._step_task(tasks[turn])
        elif turn < len(tasks) + len(requests):
            request = requests[turn - len(tasks)]
            world.requests.remove(request)
            request.deliver()
        else:
            world.broker.write_a_marker()

    def _step_task(self, running: RunningTask) -> None:
        try:
            running.step()
        except Fatal as fatal:
            if not self._is_of_a_missing_right(fatal):
                raise
            self.kill(running.worker)  # exit 1: what the other tasks had not flushed may be lost
            return
        if running.over:
            self._remove(running)

    def _is_of_a_missing_right(self, fatal: Fatal) -> bool:
        """Whether a worker ended because a right was missing: it should, and is started again."""
        cause = fatal.__cause__
        return self.world.rights_were_taken and isinstance(cause, TransactionLost) and cause.refused

    def run_until(self, condition: Callable[[], bool], what: str) -> None:
        """Step until ``condition`` is true. Raises BrokenPromiseError after ``MAX_STEPS``."""
        for _ in range(MAX_STEPS):
            if condition():
                return
            self.step()
        raise BrokenPromiseError(f"P5 liveness: after {MAX_STEPS} steps still not {what}")

    def give_away(self, partitions: Iterable[int]) -> None:
        """Assign them to a worker: one that runs already, or a new one."""
        able = [worker for worker in self.workers if not worker.paused and not worker.stopping]
        if not able:
            self.start_worker(partitions=partitions)
            return
        new_owner = self.world.random.choice(able)
        self.group.give(partitions, new_owner)
        new_owner.follow_assignment()

    def check(self) -> None:
        """No more faults: everything is consumed, all workers stop, and every promise holds."""
        world, group = self.world, self.group
        sent = Sent(self._all, self.partitioning)
        world.outcomes.clear()
        world.grant_all()
        world.broker.markers_withheld_until = 0.0
        for worker in [*self.workers]:
            worker.paused = False
            if group.assigned_to(worker) - worker.assigned:
                worker.follow_assignment()

        def everything_has_an_owner() -> None:
            if unowned := group.without_owner():
                self.give_away(unowned)

        def is_consumed() -> bool:
            everything_has_an_owner()
            # Until the last marker is written, there may be records that no offset shows yet.
            is_read = world.broker.group_offsets == sent.consumed(world.broker)
            return is_read and not world.broker.owes_markers

        self.run_until(is_consumed, "consumed whole")
        world.wall_step_ms += max(0, sent.newest_ms - world.wall_ms()) + _DAY_MS

        def is_quiet() -> bool:
            everything_has_an_owner()
            ends = sent.next_offsets(world.broker)  # each time, because markers are still written
            running = [
                None if owner is None else owner.tasks.get(partition)
                for partition, owner in group.owners.items()
            ]
            wall_ms = world.wall_ms()
            return not world.broker.owes_markers and all(
                task is not None and task.is_idle(ends[task.partition], wall_ms) for task in running
            )

        self.run_until(is_quiet, "all sessions closed")
        for worker in self.workers:
            worker.stop()
        self.run_until(lambda: not self.workers and not world.broker.owes_markers, "all workers stopped")
        disks = [(n, disk) for machine in self.machines for n, disk in machine.disks.items()]
        outputs = OutputPartitions(len(self.partitions), self.output_counts)
        check_all(world.broker, self.topics, outputs, sent, disks, world.fully_read)

    def _receive(self, partition: int, record: Record | None) -> None:
        stored = None if record is None else (record.key, record.value, record.timestamp)
        self.world.broker.append((self.topics.raw, partition), stored)

    def _remove(self, running: RunningTask) -> None:
        """A task has ended: check its store; its process follows the assignment, or leaves.

        It leaves when it has no task any more.
        """
        worker = running.worker
        del worker.tasks[running.partition]
        check_store(self.world.broker, (self.topics.changelog, running.partition), running.disk)
        worker.start_missing_tasks()
        if not worker.tasks:
            self._leave(worker)

    def _end(self, worker: Worker) -> None:
        worker.client.killed = True
        for running in worker.tasks.values():
            running.end()
        worker.tasks.clear()
        self._leave(worker)

    def _leave(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self.group.leave(worker)
        worker.machine.in_use, worker.over = False, True
