"""The faults, chosen by chance, and the whole run of one seed.

Decides which fault happens next. Each fault is a small method. Two kinds are bounded, because a task should
give up on a broker that refuses the same records for ever, and on a disk that corrupts every store. All
others may happen at any step.
"""

from collections.abc import Callable

from tests.simulation.process import Parts, Worker
from tests.simulation.simulation import Simulation
from tests.simulation.topics import topics_of
from tests.simulation.traffic import traffic
from tests.simulation.world import REQUEST_OUTCOMES, RequestOutcome

_MOST_REFUSALS = 4
_MOST_CORRUPTIONS = 2
_MOST_PARTITIONS = 3


def simulate(seed: int, parts: Parts | None = None) -> Simulation:
    """The run of a seed: traffic with faults, then no more faults, then the checks. Raises what they find."""
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
    """Topic -> its number of partitions: for half of the seeds with one partition, outputs have more.

    With several raw partitions the order of arrival could not be read from them.
    """
    if partitions > 1 or seed % 2:
        return {}
    topics = topics_of(partitions)
    return {name: 2 + number % 2 for number, name in enumerate(topics.outputs.values())}


class Adversary:
    """Makes random faults in a simulation, one at a time."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._world = simulation.world
        self._random = simulation.world.random
        self._refusals = 0
        self._corruptions = 0
        self._faults: tuple[tuple[int, Callable[[], None]], ...] = (
            (8, self._disturb_a_request),
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
        """Make one fault; or give partitions without an owner to a worker."""
        unowned = self._simulation.group.without_owner()
        if unowned:
            self._give(unowned)
            return
        (fault,) = self._random.choices([f for _, f in self._faults], [weight for weight, _ in self._faults])
        fault()

    def _disturb_a_request(self) -> None:
        kind = self._random.choice([*REQUEST_OUTCOMES])
        outcome = self._random.choice(REQUEST_OUTCOMES[kind])
        if outcome is RequestOutcome.REFUSED:
            if self._refusals == _MOST_REFUSALS:
                return
            self._refusals += 1
        self._world.outcomes.append((kind, outcome))

    def _kill(self) -> None:
        self._simulation.kill(self._random.choice(self._simulation.workers))

    def _pause_or_resume(self) -> None:
        worker = self._random.choice(self._simulation.workers)
        worker.paused = not worker.paused

    def _move(self) -> None:
        """Move some partitions to another process, new or old, which may still have a task of theirs.

        Former owners are stopped, or follow the assignment, or do not know it yet.
        """
        partitions = self._some_partitions()
        before = {self._simulation.group.owners[partition] for partition in partitions}
        self._give(partitions)
        for owner in sorted(
            (worker for worker in before if worker is not None), key=self._simulation.workers.index
        ):
            self._random.choice((owner.stop, owner.follow_assignment, lambda: None, lambda: None))()

    def _rebalance(self) -> None:
        """All workers follow the assignment, perhaps with some partitions moved."""
        if self._random.random() < 0.5:
            able = self._able()
            if able:
                self._simulation.group.give(self._some_partitions(), self._random.choice(able))
        for worker in self._simulation.workers:
            if not worker.paused:
                worker.follow_assignment()

    def _stop(self) -> None:
        self._random.choice(self._simulation.workers).stop()

    def _time_out_a_transaction(self) -> None:
        broker, everything = self._world.broker, self._simulation.partitions
        ongoing = [partition for partition in everything if broker.producer(partition).ongoing is not None]
        broker.time_out(self._random.choice(ongoing or everything))

    def _slow_down_or_recover(self) -> None:
        """Set or end a quota. One record has at most five events and is always done in time."""
        self._world.events_in_time = self._random.choice((None, 5, 5, 8))

    def _take_a_right_away(self) -> None:
        """Remove the right to write to one topic: for a moment, or until workers end because of it."""
        topics = self._simulation.topics
        written = [*topics.outputs.values(), topics.changelog]
        topic = self._random.choice([*written, *([topics.repartition] if topics.repartition else [])])
        self._world.forbid(topic, self._random.choice((1, 5, 30, 120)))

    def _withhold_markers(self) -> None:
        """Let decided transactions become visible late, and in one partition before another."""
        self._world.broker.markers_withheld_until = until = self._world.now + self._random.random() * 3
        self._world.wake_at(until)

    def _compact(self) -> None:
        partition = self._random.choice(self._simulation.partitions)
        self._world.broker.compact((self._simulation.topics.changelog, partition))

    def _delete_what_was_read(self) -> None:
        """Retention deletes everything below a committed offset of some input."""
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
        """Give them to a worker that has none of them, or to a new process, perhaps on a used machine."""
        simulation = self._simulation
        owners = {simulation.group.owners[partition] for partition in partitions}
        others = [worker for worker in self._able() if worker not in owners]
        if others and self._random.random() < 0.8:
            new_owner = self._random.choice(others)
            simulation.group.give(partitions, new_owner)
            new_owner.follow_assignment()
            return
        free = [machine for machine in simulation.machines if not machine.in_use]
        if not free or self._random.random() < 0.2:
            simulation.start_worker(partitions=partitions)
            return
        simulation.start_worker(self._random.choice((free[-1], self._random.choice(free))), partitions)
