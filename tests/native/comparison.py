"""Both readings of one value, side by side.

Knows how outcomes are compared, and no rule. Invariant: what differs in any way, a detail's word or the order
of two rejections, is a difference.
"""

from msgspec import Struct

from worker.core.decode import Decoder
from worker.model.events import CutValue, DecodedValue
from worker.model.rules import IdentityRules, InputRules
from worker.native.library import native_library
from worker.native.value_decoder import ValueDecoder

_MOST_SHOWN = 3_000

SMALL = InputRules(
    max_value_bytes=2_000,
    max_events=8,
    max_text_bytes=40,
    max_object_bytes=120,
    max_properties=4,
    max_depth=5,
)
"""Limits that are met."""


class Difference(Struct, frozen=True):
    """What two readings make of one value."""

    value: bytes | None
    native: DecodedValue
    readable: DecodedValue
    by: str

    def shown(self) -> str:
        """As lines, the beginning of each."""
        parts = {"value": self.value, "native": self.native, self.by: self.readable}
        return "\n".join(f"{name}: {part!r}"[:_MOST_SHOWN] for name, part in parts.items())


class Comparison:
    """The native and the readable reading, by the same limits."""

    def __init__(self, limits: InputRules, identity: IdentityRules | None = None) -> None:
        library = native_library().module
        assert library is not None
        self._most_bytes = limits.max_value_bytes
        self._native = ValueDecoder(library, limits, identity or IdentityRules())
        self._readable = Decoder(limits, identity or IdentityRules())

    def difference(self, value: bytes | None) -> Difference | None:
        """How the readings of a value differ, None where they are the same."""
        native = self._native.decode(value)
        readable = self._readable.decode(value)
        if not _same(native, readable):
            return Difference(value, native, readable, "decode")
        if value is None or len(value) > self._most_bytes or isinstance(value, CutValue):
            return None
        careful = self._readable.decode_carefully(value)
        return None if _same(native, careful) else Difference(value, native, careful, "decode_carefully")


def _same(one: DecodedValue, other: DecodedValue) -> bool:
    return list(one.events) == list(other.events) and list(one.rejections) == list(other.rejections)
