"""States kept in memory: what was committed last, and not more than the budget allows."""

from worker.model.state import DeviceState
from worker.task.live_states import LiveStates
from worker.task.memory_budget import BYTES_A_DEVICE, MemoryBudget

MANY = 10_000


def test_a_kept_state_is_the_very_same() -> None:
    live, state = live_states(), DeviceState(newest_ms=1)
    live.keep({"d1": state})
    assert live.get("d1") is state
    assert live.get("d2") is None


def test_the_state_committed_last_wins_also_when_the_older_one_is_still_held() -> None:
    live = live_states(devices=1_000)
    live.keep({"d1": DeviceState(newest_ms=1)})
    live.keep(strangers(600))  # the generation of the first state has become the old one
    live.keep({"d1": DeviceState(newest_ms=2)})
    for _ in range(3):
        state = live.get("d1")
        assert state is not None
        assert state.newest_ms == 2
        live.keep(strangers(300))


def test_a_device_that_keeps_coming_stays_and_others_go() -> None:
    live = live_states(devices=1_000)
    live.keep({"regular": DeviceState(newest_ms=1), "once": DeviceState(newest_ms=1)})
    for start in range(0, MANY, 100):
        assert live.get("regular") is not None
        live.keep(strangers(100, start))
    assert live.get("once") is None


def test_no_more_devices_than_the_budget_allows() -> None:
    live = live_states(devices=1_000)
    for start in range(0, MANY, 100):
        live.keep(strangers(100, start))
        assert len(live) <= 1_000 + 100


def test_tasks_share_the_budget_fairly_also_when_their_number_changes() -> None:
    budget = MemoryBudget(8_000 * BYTES_A_DEVICE, 0)
    live = LiveStates(budget)
    budget.share_between(4)
    for start in range(0, MANY, 100):
        live.keep(strangers(100, start))
    assert 1_000 <= len(live) <= 2_100
    budget.share_between(1)
    for start in range(0, MANY, 100):
        live.keep(strangers(100, start))
    assert 4_000 <= len(live) <= 8_100


def test_after_clearing_nothing_is_left() -> None:
    live = live_states()
    live.keep(strangers(700))
    live.clear()
    assert len(live) == 0
    assert live.get("stranger-1") is None


def live_states(devices: int = 1_000) -> LiveStates:
    """Room for that many devices."""
    return LiveStates(MemoryBudget(devices * BYTES_A_DEVICE, 0))


def strangers(number: int, start: int = 0) -> dict[str, DeviceState]:
    """States of other devices."""
    return {f"stranger-{n}": DeviceState(newest_ms=1) for n in range(start, start + number)}
