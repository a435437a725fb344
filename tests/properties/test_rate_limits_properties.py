"""The rates of a key hold over any time, and who waits as asked for is served."""

from hypothesis import given
from hypothesis import strategies as st

from worker.collect.rate_limits import RateLimits
from worker.collect.write_keys import WriteKey

rates = st.integers(0, 50)
keys = st.builds(WriteKey, name=st.just("k"), requests_per_s=rates, events_per_s=rates, bytes_per_s=rates)
requests = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 200), st.integers(0, 200)), max_size=60)


@given(keys, requests, st.floats(0, 1e9))
def test_no_more_is_accepted_than_the_rates_allow(
    key: WriteKey, sent: list[tuple[float, int, int]], start: float
) -> None:
    limits = RateLimits()
    now = start
    accepted: list[tuple[float, int, int]] = []
    for pause_s, events, size in sent:
        now += pause_s
        if limits.wait_s(key, size, now) == 0:
            limits.count_events(key, events, now)
            accepted.append((now, events, size))
    for first, (since, *_) in enumerate(accepted):
        for last in range(first, len(accepted)):
            allowed = accepted[last][0] - since + 1 + 1e-6
            window = accepted[first : last + 1]
            if key.requests_per_s:
                assert len(window) <= key.requests_per_s * allowed + 1e-3
            for rate, column in ((key.events_per_s, 1), (key.bytes_per_s, 2)):
                if rate:
                    assert sum(request[column] for request in window[:-1]) <= rate * allowed + 1e-3


@given(keys, requests, st.floats(0, 1e6))
def test_who_waits_as_long_as_asked_for_is_accepted(
    key: WriteKey, sent: list[tuple[float, int, int]], start: float
) -> None:
    limits = RateLimits()
    now = start
    for pause_s, events, size in sent:
        now += pause_s
        wait_s = limits.wait_s(key, size, now)
        if wait_s:
            assert wait_s >= 1
            now += wait_s
            assert limits.wait_s(key, size, now) == 0
        limits.count_events(key, events, now)
