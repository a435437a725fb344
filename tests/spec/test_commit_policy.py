"""When a transaction is due."""

from worker.task.commit_policy import CommitPolicy

POLICY = CommitPolicy(interval_s=0.1, behind_s=1.0)


def test_a_partition_that_is_not_behind_commits_after_the_interval() -> None:
    assert POLICY.due_at(opened_at=100.0, lag=0) == 100.1


def test_a_partition_that_is_behind_may_take_longer_and_so_commits_more_at_once() -> None:
    assert POLICY.due_at(opened_at=100.0, lag=501) == 101.0


def test_a_few_records_to_read_are_no_reason_to_wait_for_more() -> None:
    assert POLICY.due_at(opened_at=100.0, lag=500) == 100.1


def test_a_draft_of_a_partition_that_is_not_behind_any_more_is_due_earlier() -> None:
    assert POLICY.due_at(100.0, lag=0) < POLICY.due_at(100.0, lag=10_000)


def test_where_events_go_to_other_partitions_the_interval_is_longer() -> None:
    policy = CommitPolicy(interval_s=0.1, repartitioning_s=0.3, behind_s=1.0)
    assert policy.due_at(100.0, lag=0, repartitioning=True) == 100.3
    assert policy.due_at(100.0, lag=501, repartitioning=True) == 101.0


def test_an_interval_that_is_longer_anyway_is_kept_where_events_go_to_other_partitions() -> None:
    policy = CommitPolicy(interval_s=0.5, repartitioning_s=0.3)
    assert policy.due_at(100.0, lag=0, repartitioning=True) == 100.5
