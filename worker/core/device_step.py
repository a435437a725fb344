"""Takes one event through the rules of its device: whose it is, which session it is in, what is to be
published.

Knows one device's state and the rules; no records, no batches, no partition but its watermark. Invariant: all
that it decides is a function of the device's events in their order of arrival; the watermark only closes
sessions a little earlier than the timers would.
"""

from typing import Literal

from worker.core.closing import arm
from worker.core.identity import linked, unlinked, user_at
from worker.core.session_changes import SessionChanges
from worker.core.session_records import found_users, identity_record, owners_of, session_records
from worker.core.sessions import action_of, place
from worker.model.events import Event
from worker.model.outputs import EnrichedEvent, Flag, IdentityRecord, SessionRecord
from worker.model.rules import Rules
from worker.model.state import DeviceState


def enrich(
    event: Event,
    state: DeviceState,
    t_ms: int,
    received_at: int | None,
    watermark_ms: int,
    rules: Rules,
    changes: SessionChanges,
    sessions: list[SessionRecord],
    identities: list[tuple[str, IdentityRecord | None]],
) -> EnrichedEvent:
    """One event, at its held time ``t_ms``, through the rules of one device.

    ``state`` is a fork and is changed in place; what is to be published is added to ``sessions`` and
    ``identities``. ``changes`` is empty before and after: one serves all events.
    """
    session_rules = rules.session
    flags: list[Flag] = []
    if state.event_count == 0:
        flags.append("new_device")

    links = state.links
    unlinks = bool(session_rules.event_types) and action_of(event.type, session_rules) == "unlink"
    # Whose the sessions were before: a session that finds another user is published again.
    owners = owners_of(state) if rules.publish_sessions and (event.user_id is not None or unlinks) else None
    user_source: Literal["event", "device"] | None
    if event.user_id is None:
        user = user_at(links, t_ms)
        user_source = None if user is None else "device"
    else:
        user = event.user_id
        user_source = "event"
        state.links = linked(links, t_ms, user)
    if unlinks:
        state.links = unlinked(state.links, t_ms)

    session, cause = place(state, event, t_ms, session_rules, watermark_ms, changes)

    if cause is not None:
        flags.append("session_start")
    behind_ms = state.newest_ms - t_ms
    if behind_ms <= 0:
        state.newest_ms = t_ms
    if t_ms < state.first_seen_ms:
        state.first_seen_ms = t_ms
        state.cold_changed = True
    state.event_count += 1

    found = found_users(state, owners, changes) if owners is not None else ()
    if state.links is not links:
        flags.append("linked")
        state.cold_changed = True
        if rules.publish_identities:
            identities.append((event.device_id, identity_record(event, t_ms, state, found)))
    if changes.sessions:
        if rules.publish_sessions:
            sessions += session_records(event.device_id, state, changes)
        changes.clear()
        arm(state, rules)
    elif not state.close_at_ms:  # a first event that opened nothing, or sessions were not published so far
        arm(state, rules)

    if behind_ms > 0:
        flags.append("out_of_order")
        if behind_ms > session_rules.gap_ms + session_rules.grace_ms:
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
        received_at=received_at,
        flags=tuple(flags),
        view_id=event.view_id,
        data=event.data,
        extra=event.extra,
    )
    if session is not None:
        enriched.session_id = session.id
        enriched.session_source = "client" if session.client else "assigned"
        enriched.session_start = session.start_ms
        enriched.session_number = session.number
        enriched.event_number = session.event_count
    return enriched
