"""Events of types that open, end or only accompany a session, and what comes of some of them in order."""

from typing import Any

from tests.builders import RawEvent, click
from tests.core_step import enriched, remembered
from worker.model.outputs import EnrichedEvent
from worker.model.rules import SessionRules
from worker.model.state import Session

RULES = SessionRules(event_types={"campaign": "start", "ping": "passive", "checkout": "end"})


def page(at: str, **more: Any) -> RawEvent:
    """An event of a type that does nothing besides."""
    return click("d1", at=at, **more)


def campaign(at: str, **more: Any) -> RawEvent:
    """A ``start``."""
    return click("d1", at=at, type="campaign", **more)


def ping(at: str, **more: Any) -> RawEvent:
    """A ``passive``."""
    return click("d1", at=at, type="ping", **more)


def checkout(at: str, **more: Any) -> RawEvent:
    """An ``end``."""
    return click("d1", at=at, type="checkout", **more)


def events(*raw: RawEvent) -> list[EnrichedEvent]:
    """The enriched events under these rules."""
    return enriched(*raw, rules=RULES)


def sessions(*raw: RawEvent) -> list[Session]:
    """What is remembered under these rules."""
    return remembered(*raw, rules=RULES)


def numbers(*raw: RawEvent) -> list[int | None]:
    """The session number of each event."""
    return [event.session_number for event in events(*raw)]


def causes(*raw: RawEvent) -> list[str | None]:
    """The cause that each event carries."""
    return [event.session_cause for event in events(*raw)]
