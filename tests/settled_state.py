"""Devices' states as they are once time has done its work: what two runs have in common, however their
transactions, other devices and clocks differed.
"""

from copy import copy
from functools import lru_cache

from worker.core.state_codec import decode_state, encode_cold, encode_hot
from worker.model.state import Session


@lru_cache(maxsize=10_000)
def settled(hot: bytes, cold: bytes) -> tuple[int, bytes]:
    """The device's newest event time, and all of it as if what is open had closed."""
    state = decode_state(hot, cold)
    state.older = tuple(_settled(session) for session in state.older)
    state.current = None if state.current is None else _settled(state.current)
    state.close_at_ms = state.expire_at_ms = 0
    return state.newest_ms, encode_hot(state) + encode_cold(state)


def _settled(session: Session) -> Session:
    session = copy(session)
    session.closed = session.closed or "inactivity"
    session.revision = 0
    return session
