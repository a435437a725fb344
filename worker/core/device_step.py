"""One device's events by the rules: whose each is, which session it is in, what is published of it.

Knows the states of devices, the rules, and of the partition only its watermark and expiry clock. Must not
know where states are kept, how outputs travel or what time it is. Invariant: all that it decides is a
function of the device's events in their order of arrival; the watermark only closes sessions a little earlier
than the timers would.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from worker.core.closing import arm, close_expired
from worker.core.continuation import Continuation
from worker.core.duplicates import Duplicates, Sorted
from worker.core.expiry import advanced, clock_ms, expires_after_ms, is_expired
from worker.core.identity import linked, unlinked, user_at
from worker.core.session_changes import SessionChanges
from worker.core.session_records import Owned, found_users, identity_record, owners_of, session_records
from worker.core.sessions import action_of, add_to_session, is_late
from worker.model.events import TIMESTAMP_LIMIT_MS, Event, InputRecord
from worker.model.outputs import DeadLetter, EnrichedEvent, Flag, IdentityRecord, SessionRecord, UserSource
from worker.model.rules import Rules
from worker.model.state import DeviceState, ExpiryClock, Session


class StepResult(Struct):
    """All that a step decided. Outputs are in the order of arrival, so each device's are too.

    ``dead_letters`` holds (letter, the raw record, payload). ``sessions`` and ``identities`` may hold a
    session or device more than once: its last record counts. An identity is None where the device expired and
    is new again. ``states`` has the new state of every device that had an event. ``without_session`` counts
    the enriched events that are in no session, by type; ``devices_identified`` the devices that had no user
    before.
    """

    watermark_ms: int
    expiry: ExpiryClock
    enriched: list[EnrichedEvent] = []
    dead_letters: list[tuple[DeadLetter, InputRecord, bytes]] = []
    sessions: list[SessionRecord] = []
    identities: list[tuple[str, IdentityRecord | None]] = []  # (device id, record)
    states: dict[str, DeviceState] = {}
    sessions_opened: int = 0
    sessions_closed: int = 0
    devices_added: int = 0
    devices_linked: int = 0
    devices_identified: int = 0
    without_session: Counter[str] = field(default_factory=Counter)
    duplicates_flagged: int = 0
    duplicates_dropped: int = 0


class DeviceStep:
    """Processes events by the given rules and adds what comes of them to one result.

    ``watermark_ms`` and ``expiry`` are the partition's event watermark and expiry clock so far, and
    ``received_at`` is the Kafka timestamp of the record whose events are processed (ms), None for none.
    """

    def __init__(self, rules: Rules, result: StepResult) -> None:
        self._rules = rules
        self._result = result
        self._changes = SessionChanges()  # empty between two events
        self.received_at: int | None = None
        self._extend_session = Continuation(rules, result.enriched).extend_session
        self._duplicates = None if rules.input.duplicates == "keep" else Duplicates(rules)
        self._expires_after_ms = expires_after_ms(rules)
        self._max_future_ms = rules.session.max_future_ms
        self.watermark_ms = result.watermark_ms
        self.expiry = result.expiry

    def process(
        self, events: Sequence[Event], received_at: int | None, states: Mapping[str, DeviceState]
    ) -> None:
        """Process the events of one record, in order. Never raises.

        ``received_at`` is the record's Kafka timestamp in ms, None where it has no usable one: an event that
        claims to be later by more than ``max_future_ms`` is held at that limit. ``states`` are those before
        the step; they are not changed.
        """
        rules, forks, extend_session = self._rules, self._result.states, self._extend_session
        self.received_at = received_at
        limit_ms = TIMESTAMP_LIMIT_MS  # no event is of that time or later
        if received_at is not None and received_at + self._max_future_ms < limit_ms:
            # The time of a record is any 64-bit integer: where integers have 64 bits, this sum saturates.
            limit_ms = received_at + self._max_future_ms
        expiry_ms, newest_ms = clock_ms(self.expiry, rules), 0
        found, processed = None, len(self._result.enriched)
        if self._duplicates is not None:
            found = self._duplicates.sort_out(events, limit_ms, expiry_ms, forks, states)
            events = found.events
        device_id = None
        state: DeviceState | None = None
        following = iter(events)
        event = next(following, None)
        while event is not None:
            if event.device_id != device_id:  # a run of one device's events looks it up once
                device_id = event.device_id
                state = forks.get(device_id)
                if state is None and (known := states.get(device_id)) is not None:
                    state = forks[device_id] = known.fork()
                    if found is None and state.recent_ids:  # of a time when duplicates were looked for
                        state.recent_ids = b""
            left: Event | None = event
            is_plain = False
            if state is not None and expiry_ms <= state.newest_ms + self._expires_after_ms:
                seen = state.event_count
                left = extend_session(event, following, state, limit_ms, received_at)
                if state.event_count > seen:  # it was plain, and all others up to the one that is left
                    is_plain, t_ms = True, state.newest_ms
            if not is_plain:
                t_ms = event.timestamp if event.timestamp <= limit_ms else limit_ms
                if state is None or is_expired(state.newest_ms, t_ms, expiry_ms, rules):
                    state = self._begin_device(event.device_id, state, t_ms)
                self.enrich(event, state, t_ms)
                left = next(following, None)
            event = left
            if t_ms > newest_ms:
                newest_ms = t_ms
            if received_at is not None and t_ms > self.watermark_ms:
                self.watermark_ms = t_ms
        if newest_ms and received_at is not None:
            self.expiry = advanced(self.expiry, newest_ms, rules)
        if found is not None:
            self._note_duplicates(found, processed)

    def _note_duplicates(self, found: Sorted, processed: int) -> None:
        """Flag and count the duplicates of one record, whose first enriched event is number ``processed``."""
        result = self._result
        for device_id, recent_ids in found.recent_ids.items():
            result.states[device_id].recent_ids = recent_ids
        for place in found.repeated:
            result.enriched[processed + place].flags += ("duplicate",)
        result.duplicates_flagged += len(found.repeated)
        result.duplicates_dropped += found.dropped

    def enrich(self, event: Event, state: DeviceState, t_ms: int) -> None:
        """Apply the rules in full to one event; add the enriched event and what is to be published.

        ``state`` is a fork, and is changed in place; ``t_ms`` is the event's held time.
        """
        rules, result = self._rules, self._result
        behind_ms = state.newest_ms - t_ms
        flags: list[Flag] = []
        if state.event_count == 0:
            flags.append("new_device")

        timeline, is_linked = state.timeline, False
        unlinks = bool(rules.session.event_types) and action_of(event.type, rules.session) == "unlink"
        # Whose the sessions were before: a session that finds another user is published again.
        has_user = event.user_id is not None or unlinks
        owners = owners_of(state) if rules.publish_sessions and has_user else None
        user_source: UserSource | None
        if event.user_id is None:
            user = user_at(timeline, t_ms)
            user_source = None if user is None else "device"
        else:
            user, user_source = event.user_id, "event"
            if (changed := linked(timeline, t_ms, user)) is not None:
                state.timeline, is_linked = changed, True
        if unlinks and (changed := unlinked(state.timeline, t_ms)) is not None:
            state.timeline, is_linked = changed, True

        session, cause = add_to_session(state, event, t_ms, rules.session, self.watermark_ms, self._changes)

        if cause is not None:
            flags.append("session_start")
            result.sessions_opened += 1
        if behind_ms <= 0:
            state.newest_ms = t_ms
        is_earliest = t_ms < state.first_seen_ms
        if is_earliest:
            state.first_seen_ms = t_ms
            state.cold_changed = True
        state.event_count += 1
        if is_linked:
            flags.append("linked")
            result.devices_linked += 1
            result.devices_identified += not timeline.links
        changes_identity = is_linked or (is_earliest and bool(state.timeline.links))
        self._publish(event, state, t_ms, owners, changes_identity)

        if behind_ms > 0:
            flags.append("out_of_order")
            if is_late(behind_ms, rules.session):
                flags.append("late")
        if t_ms != event.timestamp:
            flags.append("clock_skew")
        enriched = EnrichedEvent(
            id=event.id,
            type=event.type,
            device_id=event.device_id,
            timestamp=event.timestamp,
            user_id=user,
            user_source=user_source,
            session_cause=cause,
            received_at=self.received_at,
            flags=tuple(flags),
            view_id=event.view_id,
            data=event.data,
            extra=event.extra,
        )
        self._add(enriched, session)

    def _add(self, enriched: EnrichedEvent, session: Session | None) -> None:
        """Add the enriched event, with the fields of its session; without one it is counted by its type."""
        if session is None:
            self._result.without_session[enriched.type] += 1
        else:
            enriched.session_id = session.id
            enriched.session_source = "client" if session.client else "assigned"
            enriched.session_start = session.start_ms
            enriched.session_number = session.number
            enriched.event_number = session.event_count
        self._result.enriched.append(enriched)

    def _begin_device(self, device_id: str, expired: DeviceState | None, t_ms: int) -> DeviceState:
        """The state of a device that is new, or new again: the former one is ``expired`` and ends here."""
        result, rules = self._result, self._rules
        armed = (0, 0)
        if expired is None:
            result.devices_added += 1
        else:
            armed = expired.armed
            result.sessions += close_expired(device_id, expired, rules, self._changes)
            if rules.publish_identities and expired.timeline.links:
                result.identities.append((device_id, None))
        state = DeviceState(newest_ms=t_ms, first_seen_ms=t_ms, armed=armed)
        result.states[device_id] = state
        return state

    def _publish(
        self, event: Event, state: DeviceState, t_ms: int, owners: list[Owned] | None, changes_identity: bool
    ) -> None:
        """Add the records of sessions and of the identity that changed; set the device's timers.

        ``owners``: whose the sessions were before, where the event may have changed that.
        """
        rules, result, changes = self._rules, self._result, self._changes
        found = found_users(state, owners, changes) if owners is not None else ()
        if changes_identity:
            state.cold_changed = True
            if rules.publish_identities:
                result.identities.append((event.device_id, identity_record(event, t_ms, state, found)))
        if changes.sessions:
            if rules.publish_sessions:
                result.sessions += session_records(event.device_id, state, changes, rules.session)
            changes.clear()
            arm(state, rules)
        elif not state.close_at_ms:
            # A first event that opened nothing, or sessions were not published so far.
            arm(state, rules)
        result.sessions_closed = changes.closed
