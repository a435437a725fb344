"""Both readings behind one door: what reads values here is compared in every call.

Must not know what values are read for. Invariant: a difference is an error at the call that has it.
"""

from collections.abc import Generator

from worker.core.decode import Decoder
from worker.model.events import DecodedValue
from worker.model.rules import IdentityRules, InputRules
from worker.native.library import native_library
from worker.native.value_decoder import ValueDecoder

_LIBRARY = native_library().module


class TwinDecoder:
    """Decodes natively and by the readable form, which must agree. Without the library only by the latter."""

    def __init__(self, limits: InputRules, identity: IdentityRules) -> None:
        self._native = ValueDecoder(_LIBRARY, limits, identity) if _LIBRARY else None
        self._readable = Decoder(limits, identity)

    def decode(self, value: bytes) -> DecodedValue:
        """The events in a value, and what of it was refused."""
        readable = self._readable.decode(value)
        return self._agreed(value, readable)

    def decode_in_steps(self, value: bytes) -> Generator[int, None, DecodedValue]:
        """The same, in the readable form's steps."""
        readable = yield from self._readable.decode_in_steps(value)
        return self._agreed(value, readable)

    def elements(self, value: bytes) -> list[bytes]:
        """The JSON texts of a value's elements, in order."""
        readable = self._readable.elements(value)
        assert self._native is None or self._native.elements(value) == readable, value
        return readable

    def _agreed(self, value: bytes, readable: DecodedValue) -> DecodedValue:
        if self._native is not None:
            native = self._native.decode(value)
            assert list(native.events) == list(readable.events), value
            assert list(native.rejections) == list(readable.rejections), value
        return readable
