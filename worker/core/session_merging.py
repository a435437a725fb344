"""Which sessions of a device become one after one of them has grown.

Knows sessions and rules, no events. Invariant: only assigned sessions merge; the one that starts earlier
(then: was opened earlier) keeps its id; no merge undoes what an event type decided: nothing older merges into
a session with a fixed start, and the end of an ended one stays. Rules: docs/sessions.md, Out of order and
merge.
"""

from copy import copy

from worker.core.session_changes import SessionChanges
from worker.core.views import united
from worker.model.rules import SessionRules
from worker.model.state import Session


def merge_neighbours(
    sessions: list[Session], grown: Session, rules: SessionRules, changes: SessionChanges
) -> Session | None:
    """Merge ``grown`` with every session of ``sessions`` that it may merge with; None where there is none.

    Returns what it became, which takes the places of all in ``sessions``. The nearest first; equally near:
    the one that starts later, then the one opened later. Only event types and limits leave a choice.
    """
    became = None
    while not grown.client:
        reach_from_ms, reach_to_ms = grown.start_ms - rules.gap_ms, grown.end_ms + rules.gap_ms
        neighbours = [
            s
            for s in sessions
            if s.end_ms >= reach_from_ms
            and s.start_ms <= reach_to_ms
            and s.number != grown.number
            and _may_merge(s, grown, rules)
        ]
        if not neighbours:
            break
        neighbour = min(neighbours, key=lambda s: (_space_ms(s, grown), -s.start_ms, -s.number))
        became = _merged(grown, neighbour)
        gone = grown if became.number == neighbour.number else neighbour
        changes.merged(copy(gone), became)
        sessions[:] = [s for s in sessions if s.number not in (grown.number, neighbour.number)]
        sessions.append(became)
        grown = became
    return became


def _may_merge(one: Session, other: Session, rules: SessionRules) -> bool:
    """Whether two sessions within a gap of each other become one."""
    if one.client or other.client:
        return False
    users = {one.user_id, other.user_id} - {None}
    if rules.split_on_user_change and len(users) == 2:
        return False
    earlier, later = _in_order(one, other)
    if later.fixed_start:
        return False
    end_ms = max(one.end_ms, other.end_ms)
    if (one.ended and one.end_ms < end_ms) or (other.ended and other.end_ms < end_ms):
        return False
    return not rules.max_duration_ms or end_ms - earlier.start_ms <= rules.max_duration_ms


def _space_ms(one: Session, other: Session) -> int:
    """From the end of the earlier to the start of the later; 0 where they overlap."""
    return max(one.start_ms - other.end_ms, other.start_ms - one.end_ms, 0)


def _merged(grown: Session, other: Session) -> Session:
    keeps, goes = _in_order(grown, other)
    merged = copy(keeps)
    merged.event_count += goes.event_count
    merged.passive_count += goes.passive_count
    merged.views = united(keeps.views, goes.views)
    merged.touched = grown.touched
    merged.ended = keeps.ended or goes.ended
    merged.closed = "end_event" if merged.ended else None
    if goes.end_ms > keeps.end_ms:
        merged.end_ms = goes.end_ms
        merged.last = goes.last
    if goes.user_id is not None and (keeps.user_id is None or goes.user_at_ms > keeps.user_at_ms):
        merged.user_id = goes.user_id
        merged.user_at_ms = goes.user_at_ms
    return merged


def _in_order(one: Session, other: Session) -> tuple[Session, Session]:
    return (one, other) if (one.start_ms, one.number) < (other.start_ms, other.number) else (other, one)
