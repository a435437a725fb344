"""The rules that a deployment may change; each is a section of the configuration.

Every core function takes the rules it needs as an argument: the same rules and the same records
give the same outputs, for ever.
"""

from typing import Literal

from msgspec import Struct, field

BLOCKED_IDS = (
    "null",
    "undefined",
    "none",
    "nan",
    "nil",
    "n/a",
    "na",
    "anonymous",
    "anon",
    "guest",
    "unknown",
    "unidentified",
    "not_authenticated",
    "distinct_id",
    "distinctid",
    "user_id",
    "userid",
    "device_id",
    "deviceid",
    "id",
    "email",
    "0",
    "-1",
    "true",
    "false",
    "[]",
    "{}",
    "[object object]",
    "00000000-0000-0000-0000-000000000000",
)
"""Ids that broken instrumentation sends for everybody: one of them would join all visitors into one.

Sources: the lists of PostHog (illegal distinct ids), Segment and Amplitude (invalid ids).
"""


class InputRules(Struct, frozen=True, kw_only=True):
    """Limits of what is accepted from the raw topic.

    Sizes in bytes of UTF-8: of the text itself for ids and types, of the JSON as it was sent for ``data``,
    ``extra`` and values. ``max_depth`` counts the event object itself as 1.
    """

    max_value_bytes: int = 8 * 1024 * 1024
    max_events: int = 10_000
    max_text_bytes: int = 512
    max_object_bytes: int = 64 * 1024
    max_properties: int = 50
    max_depth: int = 64


EventAction = Literal["start", "passive", "end", "unlink", "normal"]
"""What an event type does besides: open a session, only be counted, close its session, log the user out, or
nothing: ``normal`` excepts a type from what ``*`` says.
"""


class SessionRules(Struct, frozen=True, kw_only=True):
    """How events become sessions. Durations in milliseconds; ``max_duration_ms`` 0 is no limit.

    ``event_types`` maps a type, or ``*`` for all others, to what it does.
    """

    gap_ms: int = 1_800_000
    grace_ms: int = 300_000
    max_future_ms: int = 300_000
    remembered: int = 4
    max_duration_ms: int = 0
    split_on_user_change: bool = False
    event_types: dict[str, EventAction] = field(default_factory=dict)


class IdentityRules(Struct, frozen=True, kw_only=True):
    """Ids that name nobody; compared without regard to case and to surrounding quotes."""

    blocked_user_ids: tuple[str, ...] = BLOCKED_IDS
    blocked_device_ids: tuple[str, ...] = BLOCKED_IDS


class Rules(Struct, frozen=True, kw_only=True):
    """All rules together, as the core takes them.

    A device whose newest event is more than ``retention_ms`` before the next one is treated as new.
    ``expiry_records``: how many records it takes to move the clock by which silent devices expire.
    ``publish_sessions`` and ``publish_identities`` say whether those streams are wanted: enriched events are
    the same without them.
    """

    input: InputRules = InputRules()
    session: SessionRules = SessionRules()
    identity: IdentityRules = IdentityRules()
    retention_ms: int = 396 * 86_400_000
    expiry_records: int = 1_000
    publish_sessions: bool = True
    publish_identities: bool = True
