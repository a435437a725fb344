"""Reading of values by the native library, with the outcomes of ``core.decode``.

Decides nothing: it gives the library its tables, and makes events and rejections of what comes back. Must not
know records. Invariant: what it gives is what the readable form gives, or it raises ``EngineFailed`` of the
library, which leaves it to the caller to go on with that.
"""

from collections.abc import Sequence
from types import ModuleType

from msgspec import Raw

from worker.core.engine_tables import reading_tables
from worker.model.events import NO_JSON, CutValue, DecodedValue, Event, Rejection
from worker.model.rules import IdentityRules, InputRules


class ValueDecoder:
    """Decodes values by the given rules. Holds no state but memory that is used again."""

    def __init__(self, library: ModuleType, limits: InputRules, identity: IdentityRules) -> None:
        self._reader = library.ValueReader(reading_tables(limits, identity))

    def decode(self, value: bytes | None) -> DecodedValue:
        """The events in a value, and what of it was refused. Raises the library's EngineFailed."""
        if isinstance(value, CutValue):
            events, rejections = self._reader.refuse_cut(value, value.size_bytes, value.sha256)
        else:
            events, rejections = self._reader.decode(value)
        return DecodedValue(
            [
                Event(event_id, kind, device_id, timestamp, user, session, view, _raw(data), _raw(extra))
                for event_id, kind, device_id, timestamp, user, session, view, data, extra in events
            ],
            [Rejection(*refused) for refused in rejections],
        )

    def elements(self, value: bytes) -> list[bytes]:
        """The JSON texts of a value's elements, in order. Raises the library's EngineFailed."""
        found: list[bytes] = self._reader.elements(value)
        return found

    def count(self, values: Sequence[bytes | None]) -> tuple[int, int]:
        """How many events and how many rejections there are: reading alone, without objects of Python."""
        found: tuple[int, int] = self._reader.count(values)
        return found


def _raw(json_text: bytes | None) -> Raw:
    return NO_JSON if json_text is None else Raw(json_text)
