"""Rewrites a batch for the fast path: fields under their own names, ids as strings, the rest aside.

Real traffic uses the other names of fields, numbers as ids and properties of its own. Rewriting such a batch
and reading it at once takes half the time of validating each event with care. Knows names and the outer shape
of values, and validates nothing: where a batch would need that it gives up. Invariant: the values' bytes are
never changed, but for quotes around integers that are ids.
"""

import re
from collections.abc import Iterable

from msgspec import Raw

from worker.core.field_values import ALIASES
from worker.model.events import Event

_FIELDS = {field: b'"%b":' % field.encode() for field in Event.__struct_fields__ if field != "extra"}
_TAKEN_AS_THEY_ARE = {field: _FIELDS[field] for field in ("timestamp", "data", "type")} | {
    ALIASES["type"]: _FIELDS["type"]
}
_IDS = {field: name for field, name in _FIELDS.items() if field not in _TAKEN_AS_THEY_ARE} | {
    ALIASES["id"]: _FIELDS["id"]
}
_REQUIRED_FIELDS = 4
_QUOTE = ord('"')
_integer = re.compile(rb"-?[0-9]+").fullmatch


def normalize(batch: Iterable[dict[str, Raw]]) -> tuple[bytes, list[bytes]] | None:
    """The batch as an array of plain events, and each event's ``extra``, empty where it has none.

    Names must be written without escapes. None where an event has both names of a field, or
    fewer properties than an event must have.
    """
    events = []
    extras = []
    for properties in batch:
        if len(properties) < _REQUIRED_FIELDS:
            return None
        for field, alias in ALIASES.items():
            if alias in properties and field in properties:
                return None
        fields = []
        others = []
        for name, value in properties.items():
            if name in _TAKEN_AS_THEY_ARE:
                fields.append(_TAKEN_AS_THEY_ARE[name] + value)
            elif name in _IDS:
                text = bytes(value)
                if text[0] != _QUOTE and _integer(text):
                    text = b'"' + text + b'"'
                fields.append(_IDS[name] + text)
            else:
                others.append(b'"%b":%b' % (name.encode(), value))
        events.append(b",".join(fields))
        extras.append(b"{" + b",".join(others) + b"}" if others else b"")
    return b"[{" + b"},{".join(events) + b"}]", extras
