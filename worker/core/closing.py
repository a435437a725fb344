"""Decides what time does to devices that are silent: their sessions close, and at last they are forgotten.

Knows devices' states, the rules and two instants. Sessions close by ``now_ms``: the partition's watermark, or
the wall clock where nothing is left to read. Devices are forgotten by the expiry clock alone (``expiry``),
because that moves ids. Invariants: the instants enter no state but by what they close; a device's timers are
never later than what they are for, and one that is too early costs nothing but the look.
"""

from collections.abc import Mapping, Sequence
from copy import copy

from msgspec import Struct

from worker.core.expiry import expires_after_ms
from worker.core.session_changes import SessionChanges, close, closes_at_ms, due_among
from worker.core.session_records import session_records
from worker.model.outputs import SessionRecord
from worker.model.rules import Rules
from worker.model.state import DeviceState, Session


class Tended(Struct):
    """What time did to some devices: their new states, the sessions to publish, and who is forgotten.

    ``expired`` holds the last state of each device that is.
    """

    states: dict[str, DeviceState]
    sessions: list[SessionRecord]
    sessions_closed: int
    expired: dict[str, DeviceState]


def arm(state: DeviceState, rules: Rules) -> None:
    """Make sure that the timers look at the device (a fork, changed in place) in time."""
    if rules.publish_sessions:
        close_at_ms = _close_at_ms(state, rules)
        if close_at_ms and not 0 < state.close_at_ms <= close_at_ms:
            state.close_at_ms = close_at_ms
    if not state.expire_at_ms:
        state.expire_at_ms = _expire_at_ms(state, rules)


def tend(states: Mapping[str, DeviceState], expiry_ms: int, now_ms: int, rules: Rules) -> Tended:
    """Close the sessions that are due at ``now_ms``, forget the devices that are due at ``expiry_ms``.

    The given states are not changed. Timers that came too early are set anew. Never raises.
    """
    tended = Tended({}, [], 0, {})
    changes = SessionChanges()
    for device_id, state in states.items():
        if expiry_ms > _expire_at_ms(state, rules):
            tended.sessions += close_forever(device_id, state.fork(), rules, changes)
            tended.expired[device_id] = state
            continue
        fork = state.fork()
        if rules.publish_sessions:
            _close(fork, due_among(_sessions(fork), now_ms, rules.session), changes)
            tended.sessions += session_records(device_id, fork, changes)
            changes.clear()
        fork.close_at_ms = _close_at_ms(fork, rules) if rules.publish_sessions else 0
        fork.expire_at_ms = _expire_at_ms(fork, rules)
        tended.states[device_id] = fork
    tended.sessions_closed = changes.closed
    return tended


def close_forever(
    device_id: str, state: DeviceState, rules: Rules, changes: SessionChanges
) -> list[SessionRecord]:
    """The last records of a device (a fork) that is forgotten: what is open closes. ``changes`` is empty
    before and after.
    """
    _close(state, [session for session in _sessions(state) if session.closed is None], changes)
    records = session_records(device_id, state, changes) if rules.publish_sessions else []
    changes.clear()
    return records


def _sessions(state: DeviceState) -> tuple[Session, ...]:
    return state.older if state.current is None else (*state.older, state.current)


def _close(state: DeviceState, over: Sequence[Session], changes: SessionChanges) -> None:
    for session in over:
        owned = session
        if session is not state.current:
            owned = copy(session)
            state.older = tuple([owned if other is session else other for other in state.older])
            state.cold_changed = True
        close(owned, "inactivity", changes)


def _close_at_ms(state: DeviceState, rules: Rules) -> int:
    """When the first of its open sessions is due; 0 when none is open."""
    closing = [closes_at_ms(session, rules.session) for session in _sessions(state) if session.closed is None]
    return min(closing, default=0)


def _expire_at_ms(state: DeviceState, rules: Rules) -> int:
    """The time of the expiry clock up to which the device is remembered."""
    return state.newest_ms + expires_after_ms(rules)
