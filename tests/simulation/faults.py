"""Chance as an adversary: which fault strikes next, and the whole run of one seed.

Each fault is a small method. Two kinds are bounded, because the task rightly gives up on a broker that
refuses the same records for ever and on a disk that corrupts every store. Everything else may strike at any
step.
"""

from collections.abc import Callable

from tests.simulation.checks import TOPICS
from tests.simulation.ports import FakeTransaction
from tests.simulation.simulation import Simulation, Worker
from tests.simulation.traffic import traffic
from tests.simulation.world import FATES_OF, Fate
from worker.task.partition_task import PartitionTask

_MOST_REFUSALS = 4
_MOST_CORRUPTIONS = 2


def simulate(
    seed: int,
    *,
    task_class: type[PartitionTask] = PartitionTask,
    transaction_class: type[FakeTransaction] = FakeTransaction,
) -> Simulation:
    """The run of a seed: traffic, faults, quiet, checks. Raises what broke."""
    simulation = Simulation(seed, task_class=task_class, transaction_class=transaction_class)
    random = simulation.world.random
    simulation.feed(traffic(random, random.randint(10, 60)))
    adversary = Adversary(simulation)
    with simulation:
        simulation.start_worker()
        how_often = random.choice((0.01, 0.03, 0.1))
        for _ in range(random.randint(100, 1_000)):
            simulation.step()
            if random.random() < how_often:
                adversary.strike()
        simulation.check()
    return simulation


class Adversary:
    """Strikes a simulation with one random fault at a time."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._world = simulation.world
        self._random = simulation.world.random
        self._refusals = 0
        self._corruptions = 0
        self._faults: tuple[tuple[int, Callable[[], None]], ...] = (
            (8, self._harm_a_request),
            (4, self._kill),
            (4, self._pause_or_resume),
            (3, self._move_to_another_worker),
            (3, self._rebalance),
            (1, self._stop),
            (1, self._expire_the_transaction),
            (1, self._compact),
            (1, self._let_time_pass),
            (2, self._step_the_clock),
            (1, self._corrupt_a_disk),
        )

    def strike(self) -> None:
        """One fault; or a new worker, where none has the partition."""
        if self._simulation.owner is None:
            self._start_worker()
            return
        (fault,) = self._random.choices([f for _, f in self._faults], [weight for weight, _ in self._faults])
        fault()

    def _harm_a_request(self) -> None:
        kind = self._random.choice([*FATES_OF])
        fate = self._random.choice(FATES_OF[kind])
        if fate is Fate.REFUSED:
            if self._refusals == _MOST_REFUSALS:
                return
            self._refusals += 1
        self._world.fates.append((kind, fate))

    def _kill(self) -> None:
        self._simulation.kill(self._random.choice(self._simulation.workers))

    def _pause_or_resume(self) -> None:
        worker = self._random.choice(self._simulation.workers)
        worker.paused = not worker.paused

    def _move_to_another_worker(self) -> None:
        """To a new process, or back to one that has it still; the old one is told, or finds out."""
        owner = self._simulation.owner
        others = [worker for worker in self._simulation.workers if worker is not owner]
        if others:
            self._simulation.owner = others[0]
            others[0].source.rebalanced()
        else:
            self._start_worker()
        assert owner is not None
        self._random.choice((owner.task.stop, owner.task.abandon, lambda: None, lambda: None))()

    def _rebalance(self) -> None:
        for worker in self._simulation.workers:
            if worker is self._simulation.owner:
                worker.source.rebalanced()

    def _stop(self) -> None:
        assert self._simulation.owner is not None
        self._simulation.owner.task.stop()

    def _expire_the_transaction(self) -> None:
        """The broker aborts what has been open for too long; to the worker it looks like fencing."""
        self._world.broker.init_producer()

    def _compact(self) -> None:
        self._world.broker.compact(TOPICS.changelog)

    def _let_time_pass(self) -> None:
        self._world.now += 301

    def _step_the_clock(self) -> None:
        self._world.wall_step_ms += self._random.choice((-24, -1, 1, 8, 24, 120)) * 3_600_000

    def _corrupt_a_disk(self) -> None:
        if self._corruptions < _MOST_CORRUPTIONS:
            self._corruptions += 1
            self._random.choice(self._simulation.disks).corrupt = True

    def _start_worker(self) -> Worker:
        free = [disk for disk in self._simulation.disks if disk.owner is None]
        if not free or self._random.random() < 0.2:
            return self._simulation.start_worker()
        return self._simulation.start_worker(self._random.choice((free[-1], self._random.choice(free))))
