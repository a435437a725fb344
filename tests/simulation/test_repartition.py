"""Events that came to the wrong partition, in situations worth reading: each arrives once, whatever befalls
the one that sends it on or the one that takes it in.
"""

from tests.builders import click, record
from tests.simulation.process import RunningTask
from tests.simulation.simulation import Simulation
from tests.simulation.topics import REPARTITION_TOPIC
from tests.simulation.traffic import Incoming
from tests.simulation.world import Fate
from worker.core.partitioner import Partitioning

PARTITIONS = 2
HERE, THERE = 0, 1


def device_of(partition: int) -> str:
    """A device that belongs to that partition."""
    partitioning = Partitioning(partitions=PARTITIONS)
    return next(d for d in map("d{}".format, range(100)) if partitioning.partition_of(d) == partition)


def strays(number: int) -> list[Incoming]:
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


def sent_on(simulation: Simulation) -> int:
    """How many records the repartition topic shows, in the partition of the strays."""
    return len(simulation.world.broker.committed_records((REPARTITION_TOPIC, THERE)))


def taken_in(simulation: Simulation) -> int:
    """How far partition 1 has committed its second input."""
    return simulation.world.broker.group_offsets.get((REPARTITION_TOPIC, THERE), 0)


def test_a_sender_killed_inside_its_transaction_leaves_nothing_to_be_taken_in_twice() -> None:
    with Simulation(seed=1, partitions=PARTITIONS).feed(strays(30)) as simulation:
        sender, _ = one_worker_each(simulation)
        simulation.run_until(lambda: sent_on(simulation) > 3, "some have been sent on")
        simulation.run_until(sender.inside_transaction, "more are on their way")
        simulation.kill(sender.worker)
        simulation.start_worker(partitions=[HERE])
        simulation.check()


def test_a_receiver_killed_after_it_took_some_in_goes_on_behind_them() -> None:
    with Simulation(seed=2, partitions=PARTITIONS).feed(strays(30)) as simulation:
        _, receiver = one_worker_each(simulation)
        simulation.run_until(lambda: taken_in(simulation) > 3, "some have been taken in")
        simulation.kill(receiver.worker, survivors=0)
        simulation.start_worker(receiver.worker.machine, [THERE])
        simulation.check()


def test_a_sender_that_does_not_know_its_commit_succeeded_sends_nothing_on_again() -> None:
    with Simulation(seed=3, partitions=PARTITIONS).feed(strays(30)) as simulation:
        one_worker_each(simulation)
        simulation.run_until(lambda: sent_on(simulation) > 0, "some have been sent on")
        simulation.world.fates.append(("commit", Fate.ANSWER_LOST))
        simulation.run_until(lambda: not simulation.world.fates, "a commit's answer was lost")
        simulation.check()


def test_a_zombie_that_wakes_inside_its_transaction_sends_nothing_on() -> None:
    with Simulation(seed=4, partitions=PARTITIONS).feed(strays(30)) as simulation:
        zombie, _ = one_worker_each(simulation)
        simulation.run_until(lambda: sent_on(simulation) > 0, "some have been sent on")
        simulation.run_until(zombie.inside_transaction, "more are on their way")
        zombie.worker.paused = True
        before = sent_on(simulation)
        simulation.start_worker(partitions=[HERE])
        simulation.run_until(lambda: sent_on(simulation) > before, "its successor sends on")
        zombie.worker.paused = False
        simulation.run_until(lambda: zombie.worker.over, "the zombie has given up")
        simulation.check()


def test_an_open_transaction_of_a_paused_sender_holds_up_its_receiver_only_until_it_is_ended() -> None:
    with Simulation(seed=5, partitions=PARTITIONS).feed(strays(30)) as simulation:
        sender, receiver = one_worker_each(simulation)
        broker = simulation.world.broker
        simulation.run_until(lambda: taken_in(simulation) > 0, "some have been taken in")
        simulation.run_until(
            lambda: (
                broker.stable_end((REPARTITION_TOPIC, THERE)) < len(broker.log((REPARTITION_TOPIC, THERE)))
            ),
            "something is written that nobody may read yet",
        )
        sender.worker.paused = True
        held_at = broker.stable_end((REPARTITION_TOPIC, THERE))
        simulation.run_until(lambda: receiver.task.lag.records == 0, "the receiver has all that it may have")
        assert taken_in(simulation) <= held_at
        broker.time_out(HERE)
        simulation.check()
