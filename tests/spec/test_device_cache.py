"""States are found in the draft, in memory and in the store; memory holds no more than the budget allows."""

import pytest

from tests.contract.dying_writer import checkpoint_of
from worker.adapters.memory_store import MemoryStore
from worker.core.state_codec import cold_key, encode_cold, encode_hot, hot_key
from worker.errors import StateCorrupted
from worker.model.state import DeviceState
from worker.task.commit_policy import BYTES_A_DEVICE, MemoryBudget
from worker.task.device_cache import DeviceCache

MANY = 10_000


def test_a_kept_state_is_the_same_object() -> None:
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


def test_devices_that_remember_many_ids_are_so_many_fewer() -> None:
    """As many bytes of ids as a state takes without: half of the devices."""
    cache = cache_of(devices=1_000)
    recent_ids = bytes(BYTES_A_DEVICE)
    for start in range(0, MANY, 10):
        states = strangers(10, start)
        for state in states.values():
            state.recent_ids = recent_ids
        cache.keep(states)
        assert len(cache) <= 500 + 20
    assert len(cache) >= 250


def test_a_device_whose_ids_are_kept_again_and_again_counts_once() -> None:
    cache = cache_of(devices=1_000)
    cache.keep({"once": DeviceState(newest_ms=1)})
    for _ in range(MANY):
        cache.keep({"d1": DeviceState(newest_ms=1, recent_ids=bytes(BYTES_A_DEVICE))})
    assert kept(cache, "once") is not None


def test_the_ids_of_a_device_that_has_expired_count_no_more() -> None:
    cache = cache_of(devices=1_000)
    cache.keep({"other": DeviceState(newest_ms=1)})
    for _ in range(MANY):
        cache.keep({"d1": DeviceState(newest_ms=1, recent_ids=bytes(BYTES_A_DEVICE))})
        cache.keep({"d1": None})
    assert kept(cache, "other") is not None


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


def test_the_draft_is_newer_than_memory_and_memory_newer_than_the_store() -> None:
    cache = cache_of(store=store_with("d1", "d2", "d3"))
    cache.keep({"d1": DeviceState(newest_ms=2), "d2": DeviceState(newest_ms=2)})
    states = cache.states_of(["d1", "d2", "d3", "d4"], {"d1": DeviceState(newest_ms=3)})
    assert {device_id: state.newest_ms for device_id, state in states.items()} == {"d1": 3, "d2": 2, "d3": 1}


def test_a_device_that_expires_in_the_draft_is_new_whatever_the_store_holds() -> None:
    assert cache_of(store=store_with("d1")).states_of(["d1"], {"d1": None}) == {}


@pytest.mark.parametrize("cold", [None, b"not a record"])
def test_a_device_without_a_readable_cold_record_shows_that_the_store_is_unusable(cold: bytes | None) -> None:
    store = store_with("d1")
    store.write([(cold_key("d1"), cold)], checkpoint_of(2))
    with pytest.raises(StateCorrupted, match=r"cold record is missing|does not decode"):
        cache_of(store=store).states_of(["d1"], {})


def kept(cache: DeviceCache, device_id: str) -> DeviceState | None:
    """What the cache holds in memory; the store behind it is empty."""
    return cache.states_of([device_id], {}).get(device_id)


def store_with(*device_ids: str) -> MemoryStore:
    """A store with a state of each device."""
    store, state = MemoryStore(), DeviceState(newest_ms=1)
    for device_id in device_ids:
        records = [(hot_key(device_id), encode_hot(state)), (cold_key(device_id), encode_cold(state))]
        store.write(records, checkpoint_of(1))
    return store


def cache_of(devices: int = 1_000, store: MemoryStore | None = None) -> DeviceCache:
    """A cache with memory for that many devices, and this store, else an empty one."""
    return DeviceCache(store or MemoryStore(), MemoryBudget(devices * BYTES_A_DEVICE, 0))


def strangers(number: int, start: int = 0) -> dict[str, DeviceState]:
    """States of other devices."""
    return {f"stranger-{n}": DeviceState(newest_ms=1) for n in range(start, start + number)}
