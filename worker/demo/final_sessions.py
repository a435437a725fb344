"""The sessions at the end of a run, counted from the enriched events with merges followed.

Decides what a session holds in the end, where the record of an open one is as of when it was last published.
Must not know the worker's state: any reader of the topics could find the same. The invariant: every event
that went out with a session is counted in exactly one, and a merged session is none.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from worker.model.outputs import EnrichedEvent, SessionRecord

SessionKey = tuple[str, str]
"""Device id and session id: two clients may use the same id."""


class FinalSession(Struct):
    """A session as it is at the end; times in ms. ``is_open``: more events may come by the gap."""

    start_ms: int
    end_ms: int
    event_count: int
    is_open: bool

    @property
    def duration_ms(self) -> int:
        """From its first event to its last."""
        return self.end_ms - self.start_ms


def final_sessions(
    enriched: Iterable[EnrichedEvent], records: Iterable[SessionRecord], max_future_ms: int
) -> list[FinalSession]:
    """What these events make, in order of their first arrival. ``records``: the last one of each session.

    Times are held at ``max_future_ms`` after the receipt, as the rules do. It takes every event for an active
    one: the demo gives no event type an action.
    """
    last = {(record.device_id, record.session_id): record for record in records}
    found: dict[SessionKey, FinalSession] = {}
    for event in enriched:
        if event.session_id is None:
            continue
        key = _living((event.device_id, event.session_id), last)
        t_ms = event.timestamp
        if event.received_at is not None:
            t_ms = min(t_ms, event.received_at + max_future_ms)
        session = found.get(key)
        if session is None:
            is_open = key in last and last[key].status == "open"
            found[key] = FinalSession(t_ms, t_ms, 1, is_open)
            continue
        session.start_ms = min(session.start_ms, t_ms)
        session.end_ms = max(session.end_ms, t_ms)
        session.event_count += 1
    return list(found.values())


def _living(key: SessionKey, last: Mapping[SessionKey, SessionRecord]) -> SessionKey:
    """The session that the events of this one belong to in the end."""
    while (record := last.get(key)) is not None and record.merged_into is not None:
        key = record.device_id, record.merged_into
    return key
