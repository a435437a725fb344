"""What comes in: raw records, the events inside them, and what was refused.

These are plain values. They know nothing of Kafka's client: any object with the
attributes of ``InputRecord`` is one.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

from msgspec import Meta, Raw, Struct, structs

NO_JSON = Raw(b"")
"""Stands for an absent value, as no JSON text is empty. It is the only empty one, so that an encoder can omit
it by its identity.
"""

OLDEST_TIMESTAMP_MS = 100_000_000_000
"""1e11. Below it a number of milliseconds is really one of seconds, or none (docs/input.md, Time)."""

TIMESTAMP_LIMIT_MS = 100_000_000_000_000
"""1e14. From here on a number of milliseconds is really one of microseconds (docs/input.md, Time)."""

LEAST_RECORD_TIME_MS = -(2**63)
GREATEST_RECORD_TIME_MS = 2**63 - 1
"""A record's own time may be any 64-bit integer: producers write it, and brokers refuse none where
``message.timestamp.before.max.ms`` and ``message.timestamp.after.max.ms`` allow it. Below
``OLDEST_TIMESTAMP_MS`` it counts as none, everywhere; above, it is believed.
"""

Reason = Literal[
    "tombstone",
    "empty_value",
    "too_large",
    "too_many_events",
    "not_utf8",
    "malformed_json",
    "too_deep",
    "not_an_event_array",
    "not_an_object",
    "missing_field",
    "wrong_type",
    "empty_field",
    "too_long",
    "control_character",
    "conflicting_alias",
    "timestamp_out_of_range",
    "data_not_object",
    "data_nested",
    "data_reserved_name",
    "data_too_many_properties",
    "blocked_device_id",
]
"""Why an event or a whole value was refused: a closed list that dashboards depend on."""


class InputRecord(Protocol):
    """One record of an input topic, as the consumer gives it.

    ``timestamp`` is the record's Kafka timestamp in ms, any 64-bit integer; -1 when it has none.
    """

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class CutValue(bytes):
    """The beginning of a value that is too large to be held, of ``size_bytes`` and with ``sha256`` (hex)."""

    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, beginning: bytes, size_bytes: int, sha256: str) -> "CutValue":
        """Of ``beginning``, and what all of the value is."""
        cut = cls(beginning)
        cut.size_bytes, cut.sha256 = size_bytes, sha256
        return cut


class PlainRecord(Struct, frozen=True, gc=False):
    """An ``InputRecord`` as a value. Whoever knows more of a record adds it behind."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


RequiredText = Annotated[str, Meta(min_length=1)]
EventTimestamp = Annotated[int, Meta(ge=OLDEST_TIMESTAMP_MS, lt=TIMESTAMP_LIMIT_MS)]


class Event(Struct, gc=False, forbid_unknown_fields=True):
    """One accepted event. Ids are text, missing optional ids are None, ``timestamp`` is ms since the epoch.

    ``data`` and ``extra`` are JSON objects byte for byte as they were sent, or ``NO_JSON``. The limits in
    the annotations hold where events are decoded from JSON; all rules are in ``core.event_checks``.
    """

    id: RequiredText
    type: RequiredText
    device_id: RequiredText
    timestamp: EventTimestamp
    user_id: str | None = None
    session_id: str | None = None
    view_id: str | None = None
    data: Raw = NO_JSON
    extra: Raw = NO_JSON


_FIELDS = structs.fields(Event)
REQUIRED_TEXTS = tuple([field.encode_name for field in _FIELDS if field.type == RequiredText])
"""The texts that an event must have."""
OPTIONAL_IDS = tuple([field.encode_name for field in _FIELDS if field.type == str | None])
"""The ids that an event may have."""


class Rejection(Struct, frozen=True, gc=False):
    """An event, or a whole value, that was refused.

    ``index`` is its place in the batch, None for a whole value. ``detail`` names the field and the fault for
    the sender, never the value of another field. ``payload`` is the original bytes.
    """

    reason: Reason
    detail: str
    index: int | None
    payload: bytes


class DecodedValue(Struct, frozen=True):
    """All that was in one record's value: every element is in exactly one of the two lists, in order."""

    events: Sequence[Event]
    rejections: Sequence[Rejection] = ()
