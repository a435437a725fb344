"""Events in the wrong partition: each arrives once, whatever happens to sender and receiver."""

from tests.builders import click, record
from tests.simulation.process import RunningTask
from tests.simulation.simulation import Simulation
from tests.simulation.topics import REPARTITION_TOPIC
from tests.simulation.traffic import Incoming
from tests.simulation.world import RequestOutcome
from worker.core.partitioner import Partitioning

PARTITIONS = 2
HERE, THERE = 0, 1


def device_of(partition: int) -> str:
    """A device that belongs to that partition."""
    partitioning = Partitioning(partitions=PARTITIONS)
    return next(d for d in map("d{}".format, range(100)) if partitioning.partition_of(d) == partition)


def misplaced_records(number: int) -> list[Incoming]:
    """That many records in partition 0, a minute apart, each with an event of its own and one that belongs
    to partition 1.
    """
    return [
        (HERE, record(n, [click(device_of(p), f"8:{n:02}:00", id=f"{n}-{p}") for p in (HERE, THERE)]))
        for n in range(number)
    ]


def one_worker_each(simulation: Simulation) -> tuple[RunningTask, RunningTask]:
    """The tasks of the two partitions, on workers of their own."""
    sender, receiver = (simulation.start_worker(partitions=[partition]) for partition in (HERE, THERE))
    return sender.tasks[HERE], receiver.tasks[THERE]


def forwarded(simulation: Simulation) -> int:
    """How many records the repartition topic shows, in the partition of the misplaced_records."""
    return len(simulation.world.broker.committed_records((REPARTITION_TOPIC, THERE)))


def consumed_by_receiver(simulation: Simulation) -> int:
    """How far partition 1 has committed its second input."""
    return simulation.world.broker.group_offsets.get((REPARTITION_TOPIC, THERE), 0)


def test_a_sender_killed_inside_its_transaction_forwards_nothing_twice() -> None:
    with Simulation(seed=1, partitions=PARTITIONS).feed(misplaced_records(30)) as simulation:
        sender, _ = one_worker_each(simulation)
        simulation.run_until(lambda: forwarded(simulation) > 3, "some have been forwarded")
        simulation.run_until(sender.inside_transaction, "inside the next transaction")
        simulation.kill(sender.worker)
        simulation.start_worker(partitions=[HERE])
        simulation.check()


def test_a_receiver_killed_after_a_commit_goes_on_after_it() -> None:
    with Simulation(seed=2, partitions=PARTITIONS).feed(misplaced_records(30)) as simulation:
        _, receiver = one_worker_each(simulation)
        simulation.run_until(lambda: consumed_by_receiver(simulation) > 3, "the receiver has committed some")
        simulation.kill(receiver.worker, survivors=0)
        simulation.start_worker(receiver.worker.machine, [THERE])
        simulation.check()


def test_a_sender_that_does_not_know_its_commit_succeeded_forwards_nothing_again() -> None:
    with Simulation(seed=3, partitions=PARTITIONS).feed(misplaced_records(30)) as simulation:
        one_worker_each(simulation)
        simulation.run_until(lambda: forwarded(simulation) > 0, "some have been forwarded")
        simulation.world.outcomes.append(("commit", RequestOutcome.ANSWER_LOST))
        simulation.run_until(lambda: not simulation.world.outcomes, "a commit's answer was lost")
        simulation.check()


def test_a_zombie_that_wakes_inside_its_transaction_forwards_nothing() -> None:
    with Simulation(seed=4, partitions=PARTITIONS).feed(misplaced_records(30)) as simulation:
        zombie, _ = one_worker_each(simulation)
        simulation.run_until(lambda: forwarded(simulation) > 0, "some have been forwarded")
        simulation.run_until(zombie.inside_transaction, "inside the next transaction")
        zombie.worker.paused = True
        before = forwarded(simulation)
        simulation.start_worker(partitions=[HERE])
        simulation.run_until(lambda: forwarded(simulation) > before, "its successor has forwarded more")
        zombie.worker.paused = False
        simulation.run_until(lambda: zombie.worker.over, "the zombie has given up")
        simulation.check()


def test_an_open_transaction_of_a_paused_sender_holds_up_its_receiver_only_until_it_is_ended() -> None:
    with Simulation(seed=5, partitions=PARTITIONS).feed(misplaced_records(30)) as simulation:
        sender, receiver = one_worker_each(simulation)
        broker = simulation.world.broker
        simulation.run_until(lambda: consumed_by_receiver(simulation) > 0, "the receiver has committed some")
        simulation.run_until(
            lambda: (
                broker.stable_end((REPARTITION_TOPIC, THERE)) < len(broker.log((REPARTITION_TOPIC, THERE)))
            ),
            "something is written that nobody may read yet",
        )
        sender.worker.paused = True
        held_at = broker.stable_end((REPARTITION_TOPIC, THERE))
        simulation.run_until(lambda: receiver.task.lag.records == 0, "the receiver has all that it may have")
        assert consumed_by_receiver(simulation) <= held_at
        broker.time_out(HERE)
        simulation.check()
