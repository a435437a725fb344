"""Chance as an adversary: which fault strikes next, and the whole run of one seed.

Each fault is a small method. Two kinds are bounded, because the task rightly gives up on a broker that
refuses the same records for ever and on a disk that corrupts every store. Everything else may strike at any
step.
"""

from collections.abc import Callable

from tests.simulation.process import Parts, Worker
from tests.simulation.simulation import Simulation
from tests.simulation.topics import topics_of
from tests.simulation.traffic import traffic
from tests.simulation.world import FATES_OF, Fate

_MOST_REFUSALS = 4
_MOST_CORRUPTIONS = 2
_MOST_PARTITIONS = 3


def simulate(seed: int, parts: Parts | None = None) -> Simulation:
    """The run of a seed: traffic, faults, quiet, checks. Raises what broke."""
    partitions = 1 + seed % _MOST_PARTITIONS
    simulation = Simulation(
        seed, partitions=partitions, output_counts=_output_counts(seed, partitions), parts=parts
    )
    random = simulation.world.random
    simulation.feed(traffic(random, random.randint(10, 60), partitions))
    adversary = Adversary(simulation)
    with simulation:
        simulation.start_worker()
        how_often = random.choice((0.01, 0.03, 0.1))
        for _ in range(random.randint(100, 1_300)):
            simulation.step()
            if random.random() < how_often:
                adversary.strike()
        simulation.check()
    return simulation


def _output_counts(seed: int, partitions: int) -> dict[str, int]:
    """Every second seed of one partition has more of some outputs. With several, the order in which events
    arrived could not be read from them.
    """
    if partitions > 1 or seed % 2:
        return {}
    topics = topics_of(partitions)
    return {name: 2 + number % 2 for number, name in enumerate(topics.outputs.values())}


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
            (4, self._move),
            (3, self._rebalance),
            (1, self._stop),
            (2, self._time_out_a_transaction),
            (1, self._slow_down_or_recover),
            (1, self._take_a_right_away),
            (1, self._withhold_markers),
            (1, self._compact),
            (1, self._delete_what_was_read),
            (1, self._let_time_pass),
            (2, self._step_the_clock),
            (1, self._corrupt_a_disk),
        )

    def strike(self) -> None:
        """One fault; or an owner for what nobody has."""
        alone = self._simulation.group.without_owner()
        if alone:
            self._give(alone)
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

    def _move(self) -> None:
        """Some partitions to a new process, or to another one, which may have a task of theirs still; who had
        them is told, or is stopped, or finds out.
        """
        partitions = self._some_partitions()
        before = {self._simulation.group.owners[partition] for partition in partitions}
        self._give(partitions)
        for owner in sorted(
            (worker for worker in before if worker is not None), key=self._simulation.workers.index
        ):
            self._random.choice((owner.stop, owner.hear, lambda: None, lambda: None))()

    def _rebalance(self) -> None:
        """Everybody hears how things stand, perhaps with a partition in other hands."""
        if self._random.random() < 0.5:
            able = self._able()
            if able:
                self._simulation.group.give(self._some_partitions(), self._random.choice(able))
        for worker in self._simulation.workers:
            if not worker.paused:
                worker.hear()

    def _stop(self) -> None:
        self._random.choice(self._simulation.workers).stop()

    def _time_out_a_transaction(self) -> None:
        broker, everything = self._world.broker, self._simulation.partitions
        under_way = [partition for partition in everything if broker.producer(partition).ongoing is not None]
        broker.time_out(self._random.choice(under_way or everything))

    def _slow_down_or_recover(self) -> None:
        """A quota, or its end; it may last. One record has at most five events and is always done in time."""
        self._world.events_in_time = self._random.choice((None, 5, 5, 8))

    def _take_a_right_away(self) -> None:
        """That to write to one topic: for a moment, or until workers end for it."""
        topics = self._simulation.topics
        written = [*topics.outputs.values(), topics.changelog]
        topic = self._random.choice([*written, *([topics.repartition] if topics.repartition else [])])
        self._world.forbid(topic, self._random.choice((1, 5, 30, 120)))

    def _withhold_markers(self) -> None:
        """What was decided is seen late, and in one partition before another."""
        self._world.broker.markers_withheld_until = until = self._world.now + self._random.random() * 3
        self._world.wake_at(until)

    def _compact(self) -> None:
        partition = self._random.choice(self._simulation.partitions)
        self._world.broker.compact((self._simulation.topics.changelog, partition))

    def _delete_what_was_read(self) -> None:
        """Retention takes everything below a committed offset of some input."""
        broker = self._world.broker
        if broker.group_offsets:
            place = self._random.choice(sorted(broker.group_offsets))
            broker.delete_below(place, broker.group_offsets[place])

    def _let_time_pass(self) -> None:
        self._world.now += 301

    def _step_the_clock(self) -> None:
        self._world.wall_step_ms += self._random.choice((-24, -1, 1, 8, 24, 120)) * 3_600_000

    def _corrupt_a_disk(self) -> None:
        if self._corruptions < _MOST_CORRUPTIONS:
            self._corruptions += 1
            disks = [disk for machine in self._simulation.machines for disk in machine.disks.values()]
            self._random.choice(disks).corrupt = True

    def _some_partitions(self) -> list[int]:
        everything = self._simulation.partitions
        return self._random.sample(everything, self._random.randint(1, len(everything)))

    def _able(self) -> list[Worker]:
        return [worker for worker in self._simulation.workers if not worker.paused and not worker.stopping]

    def _give(self, partitions: list[int]) -> None:
        """To a worker that has none of them, or to a new process on a machine that may have been used."""
        simulation = self._simulation
        owners = {simulation.group.owners[partition] for partition in partitions}
        others = [worker for worker in self._able() if worker not in owners]
        if others and self._random.random() < 0.8:
            heir = self._random.choice(others)
            simulation.group.give(partitions, heir)
            heir.hear()
            return
        free = [machine for machine in simulation.machines if not machine.in_use]
        if not free or self._random.random() < 0.2:
            simulation.start_worker(partitions=partitions)
            return
        simulation.start_worker(self._random.choice((free[-1], self._random.choice(free))), partitions)
