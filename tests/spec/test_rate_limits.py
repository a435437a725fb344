"""How much a write key may send, and when it may again: docs/collect.md, Write keys."""

import pytest

from worker.collect.rate_limits import RateLimits
from worker.collect.write_keys import WriteKey

SLOW = WriteKey(name="slow", requests_per_s=2)


def test_without_rates_there_is_no_limit() -> None:
    limits = RateLimits()
    assert [limits.wait_s(WriteKey(name="any"), 10**9, 0.0) for _ in range(1_000)] == [0] * 1_000


def test_a_seconds_worth_may_come_at_once_and_then_one_at_a_time() -> None:
    limits = RateLimits()
    assert [limits.wait_s(SLOW, 0, 5.0) for _ in range(3)] == [0, 0, 1]
    assert limits.wait_s(SLOW, 0, 5.4) == 1
    assert limits.wait_s(SLOW, 0, 5.5) == 0
    assert limits.wait_s(SLOW, 0, 5.5) == 1


def test_after_a_pause_it_is_still_a_seconds_worth() -> None:
    limits = RateLimits()
    limits.wait_s(SLOW, 0, 0.0)
    assert [limits.wait_s(SLOW, 0, 1_000.0) for _ in range(3)] == [0, 0, 1]


def test_each_key_has_buckets_of_its_own() -> None:
    limits = RateLimits()
    other = WriteKey(name="other", requests_per_s=2)
    assert [limits.wait_s(key, 0, 0.0) for key in (SLOW, SLOW, other, other)] == [0, 0, 0, 0]
    assert limits.wait_s(SLOW, 0, 0.0) == 1


def test_bytes_beyond_a_seconds_worth_are_waited_for() -> None:
    limits = RateLimits()
    key = WriteKey(name="key", bytes_per_s=100)
    assert limits.wait_s(key, 1_000, 0.0) == 0
    assert limits.wait_s(key, 1, 0.0) == 10
    assert limits.wait_s(key, 1, 9.0) == 1
    assert limits.wait_s(key, 1, 9.01) == 0


def test_what_a_body_is_when_it_is_inflated_counts_too() -> None:
    limits = RateLimits()
    key = WriteKey(name="key", bytes_per_s=100)
    assert limits.wait_s(key, 10, 0.0) == 0
    limits.count_inflated(key, 990, 0.0)
    limits.count_inflated(key, -5, 0.0)
    assert limits.wait_s(key, 10, 0.0) == 10


def test_events_are_counted_when_they_are_known() -> None:
    limits = RateLimits()
    key = WriteKey(name="key", events_per_s=10)
    assert limits.wait_s(key, 1, 0.0) == 0
    limits.count_events(key, 35, 0.0)
    assert limits.wait_s(key, 1, 0.0) == 3
    assert limits.wait_s(key, 1, 2.6) == 0


def test_the_longest_wait_counts() -> None:
    limits = RateLimits()
    key = WriteKey(name="key", requests_per_s=1, events_per_s=1, bytes_per_s=1)
    assert limits.wait_s(key, 4, 0.0) == 0
    limits.count_events(key, 7, 0.0)
    assert limits.wait_s(key, 1, 0.0) == 7


def test_a_refused_request_is_not_counted() -> None:
    limits = RateLimits()
    limits.wait_s(SLOW, 0, 0.0)
    assert [limits.wait_s(SLOW, 0, 0.0) for _ in range(100)][-1] == 1
    assert limits.wait_s(SLOW, 0, 0.5) == 0


@pytest.mark.parametrize(("rate", "wait_s"), [(0, 0), (1_000, 0), (10, 10)])
def test_a_changed_rate_counts_from_the_next_request_on(rate: int, wait_s: int) -> None:
    limits = RateLimits()
    limits.wait_s(WriteKey(name="key", bytes_per_s=1), 100, 0.0)
    assert limits.wait_s(WriteKey(name="key", bytes_per_s=rate), 1, 0.0) == wait_s


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    limits = RateLimits()
    assert [limits.wait_s(SLOW, 0, now) for now in (10.0, 9.0, 10.0)] == [0, 0, 1]
