"""The words for each rule that a value or an event can break: the reason, and the detail for its sender.

Knows words and no rule: which one is broken, and in which order they are asked, other modules decide.
Invariant: every refusal is of this table, so that whoever has it can refuse in the same words; a detail names
the field and the fault, and never the value of a text.

Names in braces are filled in: ``field`` and ``other`` (its other name), ``got`` (a kind of value), ``size``
(bytes, or a number of properties), ``most`` (the limit), ``shown`` (the beginning of a number), ``all`` (a
hash).
"""

from collections.abc import Mapping
from functools import lru_cache

from worker.model.events import Reason

Refusal = tuple[Reason, str]
"""The reason, and the detail for the sender."""

REFUSALS: Mapping[str, Refusal] = {
    # A whole value, or what of it cannot be split.
    "tombstone": ("tombstone", "the record has no value"),
    "empty_value": ("empty_value", "the value is empty"),
    "too_large": (
        "too_large",
        "the value has {size} bytes, at most {most} are allowed; the sha256 of all of it is {all}",
    ),
    "too_many_events": ("too_many_events", "the value has more than {most} events"),
    "value_not_utf8": ("not_utf8", "the value is not UTF-8"),
    "value_binary": (
        "malformed_json",
        "the value looks like UTF-16 or UTF-32, or is binary; send UTF-8",
    ),
    "not_events": ("not_an_event_array", "expected an array of events or one event object"),
    "rest_not_utf8": ("not_utf8", "not UTF-8, and cannot be split into events"),
    "rest_too_deep": ("too_deep", "nests deeper than {most} levels, and cannot be split into events"),
    "ends_too_early": ("malformed_json", "ends too early"),
    # An element: its structure.
    "not_utf8": ("not_utf8", "the event holds bytes that are not UTF-8"),
    "too_deep": ("too_deep", "the event nests deeper than {most} levels"),
    "malformed": ("malformed_json", "not valid JSON"),
    "nothing": ("malformed_json", "not valid JSON: nothing between two commas"),
    "not_object": ("not_an_object", "expected an event object, got {got}"),
    # Its fields.
    "missing_or_alias": ("missing_field", "{field}: is missing (or {other})"),
    "missing": ("missing_field", "{field}: is missing"),
    "conflicting_alias": (
        "conflicting_alias",
        "{field}: and its other name {other} are both there and differ",
    ),
    "no_id": ("wrong_type", "{field}: expected a string or an integer, got {got}"),
    "no_text": ("wrong_type", "{field}: expected a string, got {got}"),
    "empty": ("empty_field", "{field}: is empty"),
    "too_long": ("too_long", "{field}: {size} bytes, at most {most} are allowed"),
    "holds_control": ("control_character", "{field}: holds a control character"),
    "blocked_device": (
        "blocked_device_id",
        "{field}: is a placeholder that stands for many devices",
    ),
    "timestamp_kind": ("wrong_type", "{field}: expected a whole number of milliseconds, got {got}"),
    "timestamp_fraction": (
        "wrong_type",
        "{field}: expected a whole number of milliseconds, got {shown}",
    ),
    "timestamp_range": (
        "timestamp_out_of_range",
        "{field}: {shown} is outside 1e11 <= timestamp < 1e14 (milliseconds since the epoch)",
    ),
    "data_kind": ("data_not_object", "{field}: expected an object, got {got}"),
    "data_nested": (
        "data_nested",
        "{field}: a property holds an object or an array; values are strings, numbers, booleans or null",
    ),
    "data_reserved": (
        "data_reserved_name",
        "{field}: the name of property number {size}: names that begin with _ are reserved",
    ),
    "data_properties": (
        "data_too_many_properties",
        "{field}: {size} properties, at most {most} are allowed",
    ),
    "extra_too_long": ("too_long", "{field}: more than {most} bytes"),
}
"""Name of a rule -> its words."""


@lru_cache(1024)  # elements of one value are mostly refused alike
def refuse(rule: str, **named: str | int) -> Refusal:
    """The refusal for breaking that rule, with what its detail names.

    >>> refuse("too_long", field="user_id", size=513, most=512)
    ('too_long', 'user_id: 513 bytes, at most 512 are allowed')
    """
    reason, detail = REFUSALS[rule]
    return reason, detail.format(**named)
