"""The keys of the timer index: which devices time has to look at, in order of the instant.

Timers live in the store only; the changelog has their times in each device's hot record. Two kinds: one
closes sessions, one forgets the device. Invariant: a key sorts by kind, then time, then device, so what is
due is one range. A timer that does not agree with its device's state is stale: it is dropped when it fires.
"""

from typing import Literal

from worker.model.state import DeviceState

TimerKind = Literal["close", "forget"]

_PREFIXES: dict[TimerKind, bytes] = {"close": b"tc", "forget": b"tf"}
_TIME_BYTES = 8


def timer_key(kind: TimerKind, at_ms: int, device_id: bytes) -> bytes:
    """The key of one timer."""
    return _PREFIXES[kind] + at_ms.to_bytes(_TIME_BYTES, "big") + device_id


def due_range(kind: TimerKind, now_ms: int) -> tuple[bytes, bytes]:
    """(first key, key after the last) of the timers that are due: their time is before ``now_ms``."""
    return _PREFIXES[kind], timer_key(kind, max(0, now_ms), b"")


def whole_range(kind: TimerKind) -> tuple[bytes, bytes]:
    """The range of all timers of that kind."""
    return _PREFIXES[kind], _PREFIXES[kind] + b"\xff" * (_TIME_BYTES + 1)


def kind_of_timer(key: bytes) -> TimerKind:
    """What it is for."""
    return "close" if key.startswith(_PREFIXES["close"]) else "forget"


def device_of_timer(key: bytes) -> str:
    """Whose timer it is."""
    return key[2 + _TIME_BYTES :].decode()


def restored_timers(
    device_id: bytes, close_at_ms: int, forget_at_ms: int
) -> list[tuple[bytes, bytes | None]]:
    """The timers of a device whose hot record was read from the changelog. Former ones stay and are stale."""
    times: tuple[tuple[TimerKind, int], ...] = (("close", close_at_ms), ("forget", forget_at_ms))
    return [(timer_key(kind, at_ms, device_id), b"") for kind, at_ms in times if at_ms]


def moved_timers(
    device_id: str, state: DeviceState | None, armed: tuple[int, int], *, fired: bool
) -> list[tuple[bytes, bytes | None]]:
    """What has to change in the index for the device: (key, empty value) to set, (key, None) to delete.

    ``fired``: one of its timers has, and is gone from the index; a session that was closed by it and opened
    again by a late event is due at the very same time.
    """
    times = (0, 0) if state is None else (state.close_at_ms, state.forget_at_ms)
    if times == armed and not fired:  # as for most devices
        return []
    device = device_id.encode()
    moved: list[tuple[bytes, bytes | None]] = []
    for kind, before, after in zip(_PREFIXES, armed, times, strict=True):
        if before != after or fired:
            if before and before != after:
                moved.append((timer_key(kind, before, device), None))
            if after:
                moved.append((timer_key(kind, after, device), b""))
    return moved
