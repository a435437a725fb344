"""States are found in the draft and in memory, or are missing; memory holds no more than is allowed."""

import pytest

from worker.adapters.memory_store import MemoryStore
from worker.core.state_codec import cold_key, encode_cold, encode_hot, hot_key
from worker.engine.device_cache import BYTES_A_DEVICE, DeviceCache, stored_states
from worker.errors import StateCorrupted
from worker.model.state import Checkpoint, DeviceState
from worker.task.commit_policy import MemoryBudget
from worker.task.stored_devices import stored_devices

CAPACITY = 1_000
MANY = 10_000


def test_a_kept_state_is_the_same_object() -> None:
    cache, state = DeviceCache(), DeviceState(newest_ms=1)
    cache.keep({"d1": state}, CAPACITY)
    assert kept(cache, "d1") is state
    assert kept(cache, "d2") is None


def test_the_state_committed_last_wins_also_when_the_older_one_is_still_held() -> None:
    cache = DeviceCache()
    cache.keep({"d1": DeviceState(newest_ms=1)}, CAPACITY)
    cache.keep(strangers(600), CAPACITY)  # the generation of the first state has become the old one
    cache.keep({"d1": DeviceState(newest_ms=2)}, CAPACITY)
    for _ in range(3):
        state = kept(cache, "d1")
        assert state is not None
        assert state.newest_ms == 2
        cache.keep(strangers(300), CAPACITY)


def test_a_device_that_keeps_coming_stays_and_others_go() -> None:
    cache = DeviceCache()
    cache.keep({"regular": DeviceState(newest_ms=1), "once": DeviceState(newest_ms=1)}, CAPACITY)
    for start in range(0, MANY, 100):
        assert kept(cache, "regular") is not None
        cache.keep(strangers(100, start), CAPACITY)
    assert kept(cache, "once") is None


def test_no_more_devices_than_the_budget_allows() -> None:
    cache = DeviceCache()
    for start in range(0, MANY, 100):
        cache.keep(strangers(100, start), CAPACITY)
        assert len(cache) <= 1_000 + 100


def test_devices_that_remember_many_ids_are_so_many_fewer() -> None:
    """As many bytes of ids as a state takes without: half of the devices."""
    cache = DeviceCache()
    recent_ids = bytes(BYTES_A_DEVICE)
    for start in range(0, MANY, 10):
        states = strangers(10, start)
        for state in states.values():
            state.recent_ids = recent_ids
        cache.keep(states, CAPACITY)
        assert len(cache) <= 500 + 20
    assert len(cache) >= 250


def test_a_device_whose_ids_are_kept_again_and_again_counts_once() -> None:
    cache = DeviceCache()
    cache.keep({"once": DeviceState(newest_ms=1)}, CAPACITY)
    for _ in range(MANY):
        cache.keep({"d1": DeviceState(newest_ms=1, recent_ids=bytes(BYTES_A_DEVICE))}, CAPACITY)
    assert kept(cache, "once") is not None


def test_the_ids_of_a_device_that_has_expired_count_no_more() -> None:
    cache = DeviceCache()
    cache.keep({"other": DeviceState(newest_ms=1)}, CAPACITY)
    for _ in range(MANY):
        cache.keep({"d1": DeviceState(newest_ms=1, recent_ids=bytes(BYTES_A_DEVICE))}, CAPACITY)
        cache.keep({"d1": None}, CAPACITY)
    assert kept(cache, "other") is not None


def test_the_capacity_may_change_at_any_time_and_tasks_share_it_fairly() -> None:
    budget = MemoryBudget(8_000 * BYTES_A_DEVICE, 0)
    cache = DeviceCache()
    budget.share_between(4)
    for start in range(0, MANY, 100):
        cache.keep(strangers(100, start), budget.devices_per_task)
    assert 1_000 <= len(cache) <= 2_100
    budget.share_between(1)
    for start in range(0, MANY, 100):
        cache.keep(strangers(100, start), budget.devices_per_task)
    assert 4_000 <= len(cache) <= 8_100


def test_after_clearing_nothing_is_left() -> None:
    cache = DeviceCache()
    cache.keep(strangers(700), CAPACITY)
    cache.clear()
    assert len(cache) == 0
    assert kept(cache, "stranger-1") is None


def test_the_draft_is_newer_than_memory_and_what_neither_has_is_missing() -> None:
    cache = DeviceCache()
    cache.keep({"d1": DeviceState(newest_ms=2), "d2": DeviceState(newest_ms=2)}, CAPACITY)
    states, unknown = cache.known(["d4", "d1", "d2", "d3"], {"d1": DeviceState(newest_ms=3)})
    assert {device_id: state.newest_ms for device_id, state in states.items()} == {"d1": 3, "d2": 2}
    assert unknown == ["d4", "d3"]


def test_a_device_that_expires_in_the_draft_is_new_whatever_the_store_holds() -> None:
    assert DeviceCache().known(["d1"], {"d1": None}) == ({}, [])


def test_a_device_that_the_store_does_not_know_is_new() -> None:
    states = stored_states(["d1", "d2"], stored_devices(store_with("d2"), ["d1", "d2"]))
    assert {device_id: state.newest_ms for device_id, state in states.items()} == {"d2": 1}


@pytest.mark.parametrize("cold", [None, b"not a record"])
def test_a_device_without_a_readable_cold_record_shows_that_the_store_is_unusable(cold: bytes | None) -> None:
    store = store_with("d1")
    write(store, cold_key("d1"), cold)
    with pytest.raises(StateCorrupted, match=r"cold record is missing|does not decode"):
        stored_states(["d1"], stored_devices(store, ["d1"]))


def kept(cache: DeviceCache, device_id: str) -> DeviceState | None:
    """What the cache remembers of a device."""
    return cache.known([device_id], {})[0].get(device_id)


def store_with(*device_ids: str) -> MemoryStore:
    """A store with a state of each device."""
    store, state = MemoryStore(), DeviceState(newest_ms=1)
    for device_id in device_ids:
        write(store, hot_key(device_id), encode_hot(state))
        write(store, cold_key(device_id), encode_cold(state))
    return store


def write(store: MemoryStore, key: bytes, value: bytes | None) -> None:
    """One record into the store."""
    store.write([(key, value)], Checkpoint(schema=2, incarnation="", changelog_offset=1, written_at_ms=0))


def strangers(number: int, start: int = 0) -> dict[str, DeviceState]:
    """States of other devices."""
    return {f"stranger-{n}": DeviceState(newest_ms=1) for n in range(start, start + number)}
