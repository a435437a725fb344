"""What time does to silent devices: their sessions close, and at last the devices expire.

Knows devices' states, the rules and two instants; no clock and no store. Sessions close by ``now_ms``: the
partition's watermark, or the wall clock where nothing is left to read. Devices expire by the expiry clock
alone (``core.expiry``), because that changes ids. Invariants: the instants enter no state but by what they
close; a device's timers never fire late, and one that fires early only costs its check.
"""

from collections.abc import Mapping, Sequence
from copy import copy

from msgspec import Struct

from worker.core.expiry import expires_at_ms
from worker.core.session_changes import SessionChanges, close, closes_at_ms, due_among
from worker.core.session_records import session_records
from worker.model.outputs import SessionRecord
from worker.model.rules import Rules
from worker.model.state import DeviceState, Session


class TimerResult(Struct):
    """What timers did: new states of devices, the sessions to publish, and the devices that expired.

    ``expired`` holds the last state of each device that did. ``fired`` holds the keys of the timers, which
    the store then deletes; the caller who read them there sets it.
    """

    states: dict[str, DeviceState]
    sessions: list[SessionRecord]
    sessions_closed: int
    expired: dict[str, DeviceState]
    fired: Sequence[bytes] = ()


def arm(state: DeviceState, rules: Rules) -> None:
    """Set the timers of the device (a fork, changed in place) so that none is late."""
    if rules.publish_sessions:
        close_at_ms = _close_at_ms(state, rules)
        if close_at_ms and not 0 < state.close_at_ms <= close_at_ms:
            state.close_at_ms = close_at_ms
    if not state.expire_at_ms:
        state.expire_at_ms = expires_at_ms(state, rules)


def run_timers(states: Mapping[str, DeviceState], expiry_ms: int, now_ms: int, rules: Rules) -> TimerResult:
    """Close the sessions that are due at ``now_ms``; expire the devices that are due at ``expiry_ms``.

    The given states are not changed. Timers that fired too early are set again. Never raises.
    """
    result = TimerResult({}, [], 0, {})
    changes = SessionChanges()
    for device_id, state in states.items():
        if expiry_ms > expires_at_ms(state, rules):
            result.sessions += close_expired(device_id, state.fork(), rules, changes)
            result.expired[device_id] = state
            continue
        fork = state.fork()
        if rules.publish_sessions:
            _close(fork, due_among(_sessions(fork), now_ms, rules.session), changes)
            result.sessions += session_records(device_id, fork, changes, rules.session)
            changes.clear()
        fork.close_at_ms = _close_at_ms(fork, rules) if rules.publish_sessions else 0
        fork.expire_at_ms = expires_at_ms(fork, rules)
        result.states[device_id] = fork
    result.sessions_closed = changes.closed
    return result


def close_expired(
    device_id: str, state: DeviceState, rules: Rules, changes: SessionChanges
) -> list[SessionRecord]:
    """The last records of a device (a fork) that expires: its open sessions close.

    ``changes`` is empty before and after.
    """
    _close(state, [session for session in _sessions(state) if session.closed is None], changes)
    records = session_records(device_id, state, changes, rules.session) if rules.publish_sessions else []
    changes.clear()
    return records


def _sessions(state: DeviceState) -> tuple[Session, ...]:
    return state.older if state.current is None else (*state.older, state.current)


def _close(state: DeviceState, over: Sequence[Session], changes: SessionChanges) -> None:
    for session in over:
        owned = session
        if state.current is None or session.number != state.current.number:
            owned = copy(session)
            state.older = tuple([owned if other.number == owned.number else other for other in state.older])
            state.cold_changed = True
        close(owned, "inactivity", changes)


def _close_at_ms(state: DeviceState, rules: Rules) -> int:
    """When the first of its open sessions is due; 0 when none is open."""
    closing = [closes_at_ms(session, rules.session) for session in _sessions(state) if session.closed is None]
    return min(closing, default=0)
