"""All that an engine is given when it is made: words, characters, limits and options, as plain values.

Gathers what each rule's own module defines, and defines nothing itself; must not know who takes it. The
invariants: every value is a text, a number, a truth value or a list or dict of these, which any language can
take; an engine that has them holds order and grammar only, and neither a word nor a limit.
"""

from collections.abc import Mapping
from typing import get_args

from msgspec import structs

from worker.core.characters import AS_COMPARED, ASCII_WHITE_SPACE, WHITE_SPACE, characters_of
from worker.core.decode import KEPT_OF_TOO_LARGE_BYTES
from worker.core.expiry import EXPIRY_DELAY_MS
from worker.core.field_values import ALIASES, KINDS, NO_INTEGER_FIELD
from worker.core.identity import MAX_LINKS
from worker.core.placeholders import AROUND_FORMS, AROUND_WORDS, NO_VALUE_WORDS, NULL_WORDS, plain_words
from worker.core.refusals import REFUSALS
from worker.core.state_codec import META_KEY, SCHEMA_VERSION, TimerKind, cold_key, hot_key, whole_range
from worker.core.views import MAX_VIEWS
from worker.model.events import (
    OLDEST_TIMESTAMP_MS,
    OPTIONAL_IDS,
    REQUIRED_TEXTS,
    TIMESTAMP_LIMIT_MS,
)
from worker.model.outputs import (
    CloseReason,
    DeadLetter,
    EnrichedEvent,
    EventName,
    Flag,
    IdentityRecord,
    LinkRecord,
    SessionCause,
    SessionRecord,
    SessionSource,
    SessionStatus,
    UserSource,
)
from worker.model.rules import EventAction, IdentityRules, InputRules, Rules
from worker.model.state import GREATEST_STORED

Plain = bool | int | str | list["Plain"] | dict[str, "Plain"] | None

Tables = dict[str, Plain]
"""Tables by their names."""

_WRITTEN = (EnrichedEvent, DeadLetter, SessionRecord, EventName, IdentityRecord, LinkRecord)


def reading_tables(limits: InputRules, identity: IdentityRules) -> Tables:
    """What it takes to read values: to check each element, and to refuse in the same words.

    ``kinds`` are the words for kinds of values, by name. Words of ids are in the form in which they are
    compared. ``as_compared`` has ranges of code points, ascending: the first, the last, and the character of
    ASCII that each is compared as, None for none.
    """
    return {
        **{name: value for name, value in structs.asdict(limits).items() if name.startswith("max_")},
        "kept_of_too_large_bytes": KEPT_OF_TOO_LARGE_BYTES,
        "oldest_timestamp_ms": OLDEST_TIMESTAMP_MS,
        "timestamp_limit_ms": TIMESTAMP_LIMIT_MS,
        "refusals": {rule: list(words) for rule, words in REFUSALS.items()},
        "kinds": dict(KINDS.items()),
        "required_texts": list(REQUIRED_TEXTS),
        "optional_ids": list(OPTIONAL_IDS),
        "no_integer_field": NO_INTEGER_FIELD,
        "aliases": dict(ALIASES.items()),
        "blocked_user_words": [*sorted(plain_words(identity.blocked_user_ids))],
        "blocked_device_words": [*sorted(plain_words(identity.blocked_device_ids))],
        "blocked_forms": identity.blocked_forms,
        "null_words": [*sorted(NULL_WORDS)],
        "no_value_words": list(NO_VALUE_WORDS),
        "white_space": WHITE_SPACE,
        "ascii_white_space": characters_of(ASCII_WHITE_SPACE),
        "around_words": AROUND_WORDS,
        "around_forms": AROUND_FORMS,
        "as_compared": _ranges(AS_COMPARED),
    }


def _ranges(compared: Mapping[int, str | None]) -> list[Plain]:
    """Code points in a row that are compared as the same, as (first, last, what as)."""
    ranges: list[tuple[int, int, str | None]] = []
    for code in sorted(compared):
        first, last, character = ranges[-1] if ranges else (code, code, None)
        if last == code - 1 and character == compared[code]:
            ranges[-1] = (first, code, character)
        else:
            ranges.append((code, code, compared[code]))
    return [list(each) for each in ranges]


def engine_tables(rules: Rules) -> Tables:
    """All tables of an engine with these rules.

    Besides those for reading: the closed lists of words that outputs and stored records have, the fields of
    outputs in their order, bounds of what is remembered, the beginnings of the store's keys in hexadecimal.
    """
    session, limits = rules.session, rules.input
    return {
        **reading_tables(limits, rules.identity),
        "flags": list(get_args(Flag)),
        "session_causes": list(get_args(SessionCause)),
        "close_reasons": list(get_args(CloseReason)),
        "session_statuses": list(get_args(SessionStatus)),
        "session_sources": list(get_args(SessionSource)),
        "user_sources": list(get_args(UserSource)),
        "event_actions": list(get_args(EventAction)),
        "event_types": dict(session.event_types.items()),
        **{name: value for name, value in structs.asdict(session).items() if name != "event_types"},
        "output_fields": {record.__name__: list(record.__struct_encode_fields__) for record in _WRITTEN},
        "duplicates": limits.duplicates,
        "duplicates_remembered": limits.duplicates_remembered,
        "duplicates_ms": limits.duplicates_ms,
        "retention_ms": rules.retention_ms,
        "expiry_delay_ms": EXPIRY_DELAY_MS,
        "expiry_records": rules.expiry_records,
        "publish_sessions": rules.publish_sessions,
        "publish_identities": rules.publish_identities,
        "max_links": MAX_LINKS,
        "max_views": MAX_VIEWS,
        "greatest_stored": GREATEST_STORED,
        "schema_version": SCHEMA_VERSION,
        "hot_key": hot_key("").hex(),
        "cold_key": cold_key("").hex(),
        "meta_key": META_KEY.hex(),
        "timer_keys": {kind: whole_range(kind)[0].hex() for kind in get_args(TimerKind)},
    }
