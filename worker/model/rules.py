"""The rules that a deployment may change; each is a section of the configuration.

Every core function takes the rules it needs as an argument: the same rules and the same records
give the same outputs, for ever.
"""

from typing import Literal

from msgspec import Struct, field

BLOCKED_IDS = (
    # No value.
    "null",
    "undefined",
    "none",
    "nan",
    "nil",
    "n/a",
    "#n/a",
    "na",
    "n.a.",
    "\\n",
    "void 0",
    "no value",
    "not set",
    "not_set",
    "unset",
    "not available",
    "not_available",
    "unavailable",
    "redacted",
    # Nobody.
    "anonymous",
    "anon",
    "anonymous user",
    "anonymous_user",
    "anonymoususer",
    "guest",
    "guest user",
    "guest_user",
    "guestuser",
    "unknown",
    "unknown user",
    "unknown_user",
    "unknown device",
    "unknown_device",
    "unidentified",
    "no user",
    "no_user",
    "not_authenticated",
    "not authenticated",
    "notauthenticated",
    "unauthenticated",
    "not logged in",
    "not_logged_in",
    "notloggedin",
    "logged out",
    "logged_out",
    "loggedout",
    # The name of the field instead of its value.
    "id",
    "uid",
    "uuid",
    "guid",
    "email",
    "username",
    "user_id",
    "userid",
    "device_id",
    "deviceid",
    "distinct_id",
    "distinctid",
    "anonymous_id",
    "anonymousid",
    "client_id",
    "clientid",
    "visitor_id",
    "visitorid",
    "customer_id",
    "customerid",
    "account_id",
    "accountid",
    "advertising_id",
    "advertisingid",
    "android_id",
    "idfa",
    "idfv",
    "gaid",
    "aaid",
    "adid",
    # Values of another kind as text.
    "0",
    "-1",
    "true",
    "false",
    "[object object]",
    "object undefined",
    "object null",
    "object promise",
    "optional(nil)",
    "%s",
    "%d",
    "%@",
    "%v",
    "%!s(<nil>)",
    "%!d(<nil>)",
    "%!v(<nil>)",
    # Ids that whole models, emulators and systems share.
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx",
    "9774d56d682e549c",
    "02:00:00:00:00:00",
    "020000000000",
    "ff:ff:ff:ff:ff:ff",
    "004999010640000",
    "012345678912345",
    "lmy47d",
    # Hashes of nothing: MD5, SHA-1 and SHA-256 of "", of the all-zero UUID, of "null" and "undefined".
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "9f89c84a559f573636a47ff8daed0d33",
    "b602d594afd2b0b327e07a06f36ca6a7e42546d0",
    "12b9377cbe7e5c94e8a70d9d23929523d14afa954793130f8a3959c7b849aca8",
    "37a6259cc0c1dae299a7866489dff0bd",
    "2be88ca4242c76e8253ac62474851065032d6833",
    "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
    "5e543256c480ac577d30f76f9120eb74",
    "d5d4cd07616a542891b7ec2d0257b3a24b69856e",
    "eb045d78d273107348b0300c01d29b7552d622abbc6faf81b3ec55359aa9950c",
)
"""Ids that broken instrumentation sends for everybody: one of them would join all visitors into one.

Sources: the lists of PostHog (illegal distinct ids), Mixpanel, Segment and Amplitude (invalid ids), what
Android and iOS give out in place of a forbidden address, Spring Security's name of nobody. Forms of ids that
name nobody (all zeros, placeholders of templates) are no entries here: ``core.placeholders`` knows them.
"""


class InputRules(Struct, frozen=True, kw_only=True):
    """Limits of what is accepted from the raw topic, and what becomes of an event that came before.

    Sizes in bytes of UTF-8: of the text itself for ids and types, of the JSON as it was sent for ``data``,
    ``extra`` and values. ``max_depth`` counts the event object itself as 1. An event is a duplicate when its
    device remembers its id, of ``duplicates_remembered`` ids, with a time at most ``duplicates_ms`` away.
    """

    max_value_bytes: int = 8 * 1024 * 1024
    max_events: int = 10_000
    max_text_bytes: int = 512
    max_object_bytes: int = 64 * 1024
    max_properties: int = 50
    max_depth: int = 64
    duplicates: Literal["keep", "flag", "drop"] = "keep"
    duplicates_remembered: int = 500
    duplicates_ms: int = 86_400_000


EventAction = Literal["start", "passive", "end", "unlink", "normal"]
"""What an event type does besides: open a session, only be counted, close its session, log the user out, or
nothing: ``normal`` excepts a type from what ``*`` says.
"""


class SessionRules(Struct, frozen=True, kw_only=True):
    """How events become sessions. Durations in milliseconds; ``max_duration_ms`` 0 is no limit.

    A session shorter than ``bounce_ms`` is a bounce, whatever happened in it; 0 is none.
    ``event_types`` maps a type, or ``*`` for all others, to what it does. ``remembered`` is how many sessions
    of a device are kept; the others are evicted.

    >>> SessionRules(gap_ms=600_000, event_types={"checkout": "end", "ping": "passive"}).grace_ms
    300000
    """

    gap_ms: int = 1_800_000
    grace_ms: int = 300_000
    max_future_ms: int = 300_000
    remembered: int = 4
    max_duration_ms: int = 0
    bounce_ms: int = 0
    split_on_user_change: bool = False
    event_types: dict[str, EventAction] = field(default_factory=dict)


class IdentityRules(Struct, frozen=True, kw_only=True):
    """Ids that name nobody, and so no user and no device.

    They are compared without regard to case, to invisible characters, and to white space, quotes and brackets
    around. ``blocked_forms``: ids of the known forms (``core.placeholders``) name nobody either.
    """

    blocked_user_ids: tuple[str, ...] = BLOCKED_IDS
    blocked_device_ids: tuple[str, ...] = BLOCKED_IDS
    blocked_forms: bool = True


class Rules(Struct, frozen=True, kw_only=True):
    """All rules together, as the core takes them.

    A device whose newest event is more than ``retention_ms`` before the next one is new again.
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
