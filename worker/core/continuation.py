"""The plain case of an event, fast: it continues its device's newest session and changes nothing else.

Decides which events are that plain and processes runs of them at once: nine in ten are, and the rules in full
cost several times as much for each. All others are left to ``core.device_step``, which calls this. Invariant:
outputs and state are those of the rules in full; a property test compares the two.

Why it holds: no remembered session ends after the newest one, so none is nearer to an event that is not older
than the device's newest; and growing forward brings no session within the gap that was not within it before.
An event of the user in force changes neither the timeline nor whose any session is.
"""

from collections.abc import Iterator

from worker.core.sessions import action_of
from worker.core.views import with_view
from worker.model.events import Event
from worker.model.outputs import EnrichedEvent, SessionSource, UserSource
from worker.model.rules import Rules
from worker.model.state import DeviceState, EventRef


class Continuation:
    """The plain case under the given rules; enriched events are added to the given list."""

    def __init__(self, rules: Rules, enriched: list[EnrichedEvent]) -> None:
        self._rules = rules.session
        self._enriched = enriched
        self._publish_sessions = rules.publish_sessions
        self._event_types = rules.session.event_types
        self._max_duration_ms = rules.session.max_duration_ms
        self._reach_ms = min(rules.session.gap_ms, rules.retention_ms)

    def extend_session(
        self, event: Event, rest: Iterator[Event], state: DeviceState, limit_ms: int, received_at: int | None
    ) -> Event | None:
        """Process ``event`` and the ``rest``, as long as they are plain and of the same device.

        Returns the first event that is left, None where none is. ``state``, a fork that has not expired, is
        changed in place. ``limit_ms`` is the latest time that is believed: what must be held is not plain.
        """
        session, links = state.current, state.timeline.links
        if (
            session is None
            or session.closed is not None
            or not (state.close_at_ms or not self._publish_sessions)  # a timer is to be set
            or (links and links[-1].since_ms > session.end_ms)
        ):
            return event
        # The newest link is in force from the session's end on: a session without an own user is its user's.
        linked_user = links[-1].user_id if links else None
        linked_source: UserSource | None = None if linked_user is None else "device"
        source: SessionSource = "client" if session.client else "assigned"
        if self._max_duration_ms and not session.client:
            limit_ms = min(limit_ms, session.start_ms + self._max_duration_ms)
        newest_ms, event_types, reach_ms = state.newest_ms, self._event_types, self._reach_ms
        next_ms = session.end_ms + reach_ms  # what is farther from the end, or from the newest, is not plain

        session_id, session_user, seen = session.id, session.user_id, None
        start_ms, number, count = session.start_ms, session.number, session.event_count
        device_id = event.device_id
        last: Event | None = None
        left: Event | None = event
        while left is not None and left.device_id == device_id:
            t_ms = left.timestamp
            if not newest_ms <= t_ms <= next_ms or t_ms > limit_ms:
                break  # out of order, after the gap, or to be held
            if event_types and action_of(left.type, self._rules) is not None:
                break
            own_user, named, view = left.user_id, left.session_id, left.view_id
            if own_user is None:
                user, user_source = linked_user, linked_source
            elif own_user == linked_user and (session_user is None or session_user == own_user):
                user, user_source = own_user, "event"
            else:
                break
            if named is not None:
                if named != session_id:
                    break
                source = "client"  # from now on, where the worker had made the id
            if own_user is not None:
                session_user = session.user_id = own_user
                session.user_at_ms = t_ms
            if view is not None and view != seen:  # a run of the same view is looked up once
                seen = view
                session.views = with_view(session.views, view)
            count += 1
            # In the order of its fields, which is twice as fast as by their names.
            self._enriched.append(EnrichedEvent(
                left.id, left.type, device_id, t_ms, user, user_source, session_id, source, start_ms,
                number, count, None, received_at, (), view, left.data, left.extra,
            ))  # fmt: skip
            next_ms = t_ms + reach_ms
            newest_ms, last, left = t_ms, left, next(rest, None)
        if last is not None:
            state.event_count += count - session.event_count
            session.event_count = count
            session.touched = state.event_count
            session.client = source == "client"
            session.end_ms = state.newest_ms = newest_ms
            session.last = EventRef(newest_ms, last.id, last.type)
        return left
