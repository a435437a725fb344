"""States kept in memory: what was committed last, and not more than the budget allows."""

from worker.adapters.memory_store import MemoryStore
from worker.model.state import DeviceState
from worker.task.commit_policy import BYTES_A_DEVICE, MemoryBudget
from worker.task.device_cache import DeviceCache

MANY = 10_000


def test_a_kept_state_is_the_very_same() -> None:
    cache, state = cache_of(), DeviceState(newest_ms=1)
    cache.keep({"d1": state})
    assert kept(cache, "d1") is state
    assert kept(cache, "d2") is None


def test_the_state_committed_last_wins_also_when_the_older_one_is_still_held() -> None:
    cache = cache_of(devices=1_000)
    cache.keep({"d1": DeviceState(newest_ms=1)})
    cache.keep(strangers(600))  # the generation of the first state has become the old one
    cache.keep({"d1": DeviceState(newest_ms=2)})
    for _ in range(3):
        state = kept(cache, "d1")
        assert state is not None
        assert state.newest_ms == 2
        cache.keep(strangers(300))


def test_a_device_that_keeps_coming_stays_and_others_go() -> None:
    cache = cache_of(devices=1_000)
    cache.keep({"regular": DeviceState(newest_ms=1), "once": DeviceState(newest_ms=1)})
    for start in range(0, MANY, 100):
        assert kept(cache, "regular") is not None
        cache.keep(strangers(100, start))
    assert kept(cache, "once") is None


def test_no_more_devices_than_the_budget_allows() -> None:
    cache = cache_of(devices=1_000)
    for start in range(0, MANY, 100):
        cache.keep(strangers(100, start))
        assert len(cache) <= 1_000 + 100


def test_tasks_share_the_budget_fairly_also_when_their_number_changes() -> None:
    budget = MemoryBudget(8_000 * BYTES_A_DEVICE, 0)
    cache = DeviceCache(MemoryStore(), budget)
    budget.share_between(4)
    for start in range(0, MANY, 100):
        cache.keep(strangers(100, start))
    assert 1_000 <= len(cache) <= 2_100
    budget.share_between(1)
    for start in range(0, MANY, 100):
        cache.keep(strangers(100, start))
    assert 4_000 <= len(cache) <= 8_100


def test_after_clearing_nothing_is_left() -> None:
    cache = cache_of()
    cache.keep(strangers(700))
    cache.clear()
    assert len(cache) == 0
    assert kept(cache, "stranger-1") is None


def kept(cache: DeviceCache, device_id: str) -> DeviceState | None:
    """What the cache holds in memory; the store behind it is empty."""
    return cache.states_of([device_id], {}).get(device_id)


def cache_of(devices: int = 1_000) -> DeviceCache:
    """Room for that many devices."""
    return DeviceCache(MemoryStore(), MemoryBudget(devices * BYTES_A_DEVICE, 0))


def strangers(number: int, start: int = 0) -> dict[str, DeviceState]:
    """States of other devices."""
    return {f"stranger-{n}": DeviceState(newest_ms=1) for n in range(start, start + number)}
