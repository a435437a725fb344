"""Reads raw values by the slow path alone, for checkers that must not share the worker's shortcuts."""

from collections.abc import Sequence

from worker.core.decode import Decoder
from worker.model.events import DecodedValue
from worker.model.rules import IdentityRules, InputRules


class SlowPathDecoder(Decoder):
    """Decodes each value event by event."""

    def __init__(self, limits: InputRules, identity: IdentityRules) -> None:
        super().__init__(limits, identity)
        self._most_bytes = limits.max_value_bytes

    def decode(self, value: bytes | None) -> DecodedValue:
        if value is None or len(value) > self._most_bytes:  # refused whole, with no event looked at
            return super().decode(value)
        return self.decode_carefully(value)

    def decode_many(self, values: Sequence[bytes | None]) -> list[DecodedValue]:
        return [self.decode(value) for value in values]
