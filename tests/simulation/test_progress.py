"""What a task reports of its progress: the worker's health is decided by it."""

from functools import partial

from structlog.testing import capture_logs

from tests.builders import click, ms, record
from tests.simulation.process import Parts
from tests.simulation.simulation import Simulation
from tests.simulation.source import FakeSource
from tests.simulation.topics import RAW_TOPIC
from tests.simulation.traffic import Incoming
from tests.simulation.world import RequestOutcome
from worker.ports import Lag
from worker.task.commit_policy import CommitPolicy
from worker.task.partition_task import PartitionTask
from worker.task.status import unknown_by_reason


def test_a_task_has_work_for_as_long_as_a_transaction_is_open_and_none_when_all_is_committed() -> None:
    log: list[Incoming] = [(0, record(offset, [click("d1", id=str(offset))])) for offset in range(40)]
    with Simulation(seed=3).feed(log) as simulation:
        running = simulation.start_worker().tasks[0]
        transactions = 0

        def all_is_committed() -> bool:
            nonlocal transactions
            if running.inside_transaction():
                transactions += 1
                assert not running.task.progress.idle
            return simulation.world.broker.group_offsets == {(RAW_TOPIC, 0): len(log)}

        simulation.run_until(all_is_committed, "all is committed")
        assert transactions > 0
        simulation.run_until(lambda: running.task.progress.idle, "it says so")


def test_a_task_is_not_idle_before_it_runs() -> None:
    with Simulation(seed=3) as simulation:
        task = simulation.start_worker().tasks[0].task
        assert not task.progress.idle
        simulation.run_until(lambda: task.progress.idle, "it has initialized its partition and idles")


class SilentSource(FakeSource):
    """Its brokers stop answering."""

    answered = True

    def lag(self) -> Lag:
        return super().lag() if self.answered else Lag(None, unknown_because="no fetch has been answered")


def test_an_idle_task_whose_brokers_do_not_answer_is_not_idle() -> None:
    with Simulation(seed=3, parts=Parts(source=SilentSource)) as simulation:
        running = simulation.start_worker().tasks[0]
        assert running.task.lag == Lag(None, unknown_because="new")
        simulation.run_until(lambda: running.task.progress.idle, "it idles")
        assert running.task.lag == Lag(0, caught_up=True)
        assert isinstance(running.source, SilentSource)
        running.source.answered = False
        assert not running.task.progress.idle
        assert running.task.lag == Lag(None, unknown_because="no fetch has been answered")
        assert unknown_by_reason({"0": running.task.lag, "1": Lag(0)}) == {"no fetch has been answered": 1}


def test_each_commit_moves_the_task_s_offset_in_the_changelog() -> None:
    log: list[Incoming] = [(0, record(offset, [click("d1", id=str(offset))])) for offset in range(40)]
    places: list[int] = []
    with Simulation(seed=3).feed(log) as simulation:
        task = simulation.start_worker().tasks[0].task

        def has_committed_all() -> bool:
            progress = task.progress
            if not places or places[-1] != progress.changelog_offset:
                places.append(progress.changelog_offset)
            return progress.idle and simulation.world.broker.group_offsets == {(RAW_TOPIC, 0): len(log)}

        simulation.run_until(has_committed_all, "all is committed")
        commits = task.take_statistics().transactions
    assert places == sorted(places)
    assert len(places) == 1 + commits  # the first is that of an empty store


def test_a_partition_without_events_commits_once_an_hour_so_that_brokers_keep_its_producer() -> None:
    with Simulation(seed=3) as simulation:
        task = simulation.start_worker().tasks[0].task
        simulation.run_until(lambda: task.progress.idle, "it has initialized its partition and idles")
        task.take_statistics()
        silence_s = CommitPolicy().silence_s
        for hour in range(3):
            simulation.world.now += silence_s - 60
            simulation.run_until(lambda: simulation.world.now % 7 < 0.5, "some time passes")
            assert task.statistics.transactions == hour
            simulation.world.now += 60
            simulation.run_until(partial(_has_committed, task, hour + 1), "it commits")
        assert task.statistics.transactions_lost == 0


def _has_committed(task: PartitionTask, times: int) -> bool:
    return task.statistics.transactions == times


def test_a_task_that_only_loses_transactions_makes_no_progress_whatever_the_changelog_grows_by() -> None:
    with Simulation(seed=3) as simulation:
        running = simulation.start_worker().tasks[0]
        broker, changelog = simulation.world.broker, (simulation.topics.changelog, 0)
        simulation.run_until(lambda: running.task.progress.idle, "it has initialized its partition and idles")
        place, end = running.task.progress.changelog_offset, len(broker.log(changelog))
        simulation.world.outcomes += [("commit", RequestOutcome.REQUEST_LOST)] * 40
        simulation.feed([(0, record(0, [click("d1")]))])
        simulation.run_until(running.inside_transaction, "it has work")

        def has_lost_twenty() -> bool:
            progress = running.task.progress
            assert not progress.idle
            assert progress.changelog_offset == place
            return len(simulation.world.outcomes) == 20

        simulation.run_until(has_lost_twenty, "it has lost twenty transactions")
        assert len(broker.log(changelog)) > end + 20


def test_a_record_from_the_future_is_warned_of_once_a_partition() -> None:
    ahead_ms = ms("10:00:00") + 730 * 86_400_000
    log: list[Incoming] = [
        (0, record(0, [click("d1")])),
        (0, record(1, [click("x", ahead_ms)], received_at=ahead_ms)),
        *((0, record(offset, [click("d1", id=str(offset))])) for offset in range(2, 20)),
    ]
    with capture_logs() as logs, Simulation(seed=3).feed(log) as simulation:
        simulation.start_worker()
        simulation.run_until(
            lambda: simulation.world.broker.group_offsets == {(RAW_TOPIC, 0): len(log)}, "all is committed"
        )
    [warning] = [line for line in logs if line["event"] == "watermark.ahead"]
    assert (warning["partition"], warning["log_level"]) == (0, "warning")
    assert warning["ahead_s"] > 700 * 86_400
