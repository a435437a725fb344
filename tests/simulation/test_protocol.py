"""Exactly once under faults: many seeds, and a few single situations.

A failure names its seed; ``make simulate SEED=17`` replays exactly that history, ``make simulate
SEEDS=100000`` runs that many, ``FROM=100000`` others (docs/testing.md). Seeds have one, two and three
partitions in turn.
"""

import os

import pytest

from tests.builders import click, record
from tests.simulation.faults import simulate
from tests.simulation.process import RunningTask
from tests.simulation.simulation import Simulation
from tests.simulation.topics import RAW_TOPIC
from tests.simulation.traffic import Incoming
from tests.simulation.world import RequestOutcome
from worker.errors import Fatal
from worker.task.partition_task import TaskState

_CHOSEN = os.environ.get("SESSIONIZER_TEST_SEED")
_FIRST = int(os.environ.get("SESSIONIZER_TEST_FIRST_SEED", "0"))
_SEEDS = (
    range(_FIRST, _FIRST + int(os.environ.get("SESSIONIZER_TEST_SEEDS", "500")))
    if _CHOSEN is None
    else range(int(_CHOSEN), int(_CHOSEN) + 1)
)
_SEEDS_A_TEST = 100


def clicks(number: int) -> list[Incoming]:
    """That many records of one device, a minute apart: one session, whose event number counts them."""
    return [
        (0, record(offset, [click("d1", f"8:{offset:02}:00", id=str(offset))])) for offset in range(number)
    ]


def start_task(simulation: Simulation) -> RunningTask:
    """The task of a new worker, which gets the only partition."""
    return simulation.start_worker().tasks[0]


def kill_after_some_commits(simulation: Simulation) -> Simulation:
    """Kill a worker that has no request and no marker left that could still arrive."""
    first, world = start_task(simulation), simulation.world
    simulation.run_until(
        lambda: len(first.disk.writes) > 2 and not world.broker.owes_markers and not world.requests,
        "three transactions are committed",
    )
    simulation.kill(first.worker)
    return simulation


def pause_before_the_restore_reads(simulation: Simulation, running: RunningTask) -> None:
    """The broker has answered with the changelog's end, and the worker has not received it yet."""
    client = running.worker.client
    simulation.run_until(
        lambda: client.answered == ["fence"] and not simulation.world.requests, "fenced and asked"
    )
    running.worker.paused = True


@pytest.mark.parametrize("first", _SEEDS[::_SEEDS_A_TEST])
def test_every_promise_holds_whatever_strikes(first: int) -> None:
    for seed in range(first, min(first + _SEEDS_A_TEST, _SEEDS.stop)):
        try:
            simulate(seed)
        except Exception as broken:
            broken.add_note(f"to replay: make simulate SEED={seed}")
            raise


@pytest.mark.parametrize("seed", [6, 7, 8])
def test_a_seed_replays_exactly(seed: int) -> None:
    once, again = simulate(seed), simulate(seed)
    assert (once.steps, once.world.now) == (again.steps, again.world.now)
    assert once.world.broker.logs == again.world.broker.logs


def test_a_zombie_that_wakes_inside_its_transaction_writes_nothing_visible() -> None:
    with Simulation(seed=1).feed(clicks(30)) as simulation:
        zombie = start_task(simulation)
        simulation.run_until(lambda: simulation.world.broker.group_offsets != {}, "initialized")
        simulation.run_until(zombie.inside_transaction, "inside a transaction")
        zombie.worker.paused = True
        successor = start_task(simulation)
        simulation.run_until(lambda: successor.task.watermark_ms not in (None, 0), "running elsewhere")
        zombie.worker.paused = False
        simulation.run_until(lambda: zombie.worker.over, "the zombie has given up")
        simulation.check()


@pytest.mark.parametrize("survivors", [0, 1])
def test_a_store_that_lost_its_newest_writes_is_caught_up(survivors: int) -> None:
    with Simulation(seed=2).feed(clicks(30)) as simulation:
        killed = start_task(simulation)
        simulation.run_until(lambda: len(killed.disk.writes) > 2, "three transactions are in the store")
        simulation.kill(killed.worker, survivors)
        simulation.start_worker(killed.worker.machine)
        simulation.check()


def test_a_commit_whose_answer_was_lost_counts_once() -> None:
    with Simulation(seed=3).feed(clicks(10)) as simulation:
        task = start_task(simulation).task
        simulation.run_until(lambda: task.watermark_ms is not None, "initialized")
        simulation.world.outcomes.append(("commit", RequestOutcome.ANSWER_LOST))
        simulation.run_until(lambda: task.statistics.transactions_lost == 1, "unsure")
        simulation.check()


def test_a_refused_batch_leaves_no_hole() -> None:
    with Simulation(seed=4).feed(clicks(10)) as simulation:
        task = start_task(simulation).task
        simulation.run_until(lambda: task.watermark_ms is not None, "initialized")
        simulation.world.outcomes.append(("send", RequestOutcome.REFUSED))
        simulation.run_until(lambda: task.statistics.transactions_lost == 1, "refused")
        simulation.check()


@pytest.mark.parametrize("role", ["enriched", "changelog"])
def test_a_missing_right_ends_the_worker_and_once_it_is_granted_nothing_is_missing(role: str) -> None:
    with Simulation(seed=4).feed(clicks(30)) as simulation:
        running = start_task(simulation)
        simulation.run_until(lambda: running.task.watermark_ms not in (None, 0), "running")
        topics = simulation.topics
        topic = topics.changelog if role == "changelog" else topics.outputs["enriched"]
        simulation.world.forbid(topic, 60)
        simulation.run_until(lambda: running.worker.over, "the worker has ended")
        assert not simulation.world.may_write(topic)
        simulation.check()


def test_a_worker_asked_to_stop_while_it_restores_again_commits_nothing_past_its_lost_draft() -> None:
    with Simulation(seed=5).feed(clicks(30)) as simulation:
        task = start_task(simulation).task
        simulation.run_until(lambda: task.watermark_ms not in (None, 0), "running")
        simulation.world.outcomes.append(("send", RequestOutcome.REQUEST_LOST))
        simulation.run_until(lambda: task.state is TaskState.RESTORING, "restoring again")
        task.stop()
        simulation.check()


def test_a_worker_that_was_fenced_while_it_restored_does_not_take_the_new_owners_commits_for_a_reset() -> (
    None
):
    with Simulation(seed=6).feed(clicks(30)) as simulation:
        slow = start_task(simulation)
        pause_before_the_restore_reads(simulation, slow)
        simulation.start_worker()
        simulation.run_until(
            lambda: simulation.world.broker.group_offsets.get((RAW_TOPIC, 0), 0) > 0, "another has committed"
        )
        slow.worker.paused = False
        simulation.check()


def test_a_coordinator_that_repeats_what_was_committed_long_ago_is_waited_for() -> None:
    """Seen after an outage of all brokers: offsets of half an hour before, until the next commit."""
    with Simulation(seed=7).feed(clicks(30)) as simulation:
        broker = kill_after_some_commits(simulation).world.broker
        broker.group_offsets[RAW_TOPIC, 0] -= 1
        start_task(simulation)
        simulation.check()


def refuses_to_start(simulation: Simulation) -> None:
    task = start_task(simulation).task
    with pytest.raises(Fatal, match="somebody reset the one or the other"):
        simulation.run_until(lambda: task.state is TaskState.RUNNING, "it runs")


def test_offsets_that_an_operator_has_reset_are_refused() -> None:
    with Simulation(seed=8).feed(clicks(30)) as simulation:
        broker = kill_after_some_commits(simulation).world.broker
        broker.group_offsets[RAW_TOPIC, 0] -= 1
        broker.authors.clear()
        refuses_to_start(simulation)


def test_a_changelog_that_lost_its_end_is_refused() -> None:
    with Simulation(seed=9).feed(clicks(30)) as simulation:
        kill_after_some_commits(simulation).world.broker.group_offsets[RAW_TOPIC, 0] += 1
        refuses_to_start(simulation)


@pytest.mark.parametrize("seed", range(10))
def test_a_worker_fenced_while_it_restored_does_not_take_a_compacted_changelog_for_another_one(
    seed: int,
) -> None:
    with Simulation(seed).feed(clicks(30)) as simulation:
        first = start_task(simulation)
        simulation.run_until(lambda: len(first.disk.writes) > 2, "three transactions are committed")
        simulation.kill(first.worker)
        slow = start_task(simulation)
        pause_before_the_restore_reads(simulation, slow)
        simulation.start_worker()
        before = dict(simulation.world.broker.group_offsets)
        simulation.run_until(lambda: simulation.world.broker.group_offsets != before, "another has committed")
        simulation.world.broker.compact((simulation.topics.changelog, 0))
        slow.worker.paused = False
        simulation.check()
