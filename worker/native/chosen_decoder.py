"""Which reading of values a process uses: the native one where the library is used, else the readable one.

Decides that, and what follows where the native one fails: from then on the readable one reads. Must not know
what values are read for. Invariant: a value has an outcome whatever the native engine does, and the same one
whoever reads it.
"""

from collections.abc import Callable, Generator

from worker.core.decode import Decoder
from worker.model.events import DecodedValue
from worker.model.rules import IdentityRules, InputRules
from worker.native.parts import NativeParts
from worker.native.value_decoder import ValueDecoder


class SurvivingDecoder:
    """Decodes natively as long as that works, then by the readable form.

    ``failed`` is called with the reason, once.
    """

    def __init__(self, native: ValueDecoder, readable: Decoder, failed: Callable[[str], None]) -> None:
        self._native: ValueDecoder | None = native
        self._readable = readable
        self._failed = failed

    def decode(self, value: bytes | None) -> DecodedValue:
        """The events in a value, and what of it was refused. Never raises."""
        if self._native is not None:
            try:
                return self._native.decode(value)
            except RuntimeError as error:  # the library's EngineFailed is one, and nothing else raises here
                self._give_up(error)
        return self._readable.decode(value)

    def decode_in_steps(self, value: bytes) -> Generator[int, None, DecodedValue]:
        """What ``decode`` makes of the value: in one step natively, else in those of ``core.decode``."""
        if self._native is not None:
            return self.decode(value)
        return (yield from self._readable.decode_in_steps(value))

    def elements(self, value: bytes) -> list[bytes]:
        """The JSON texts of a value's elements, in order, whether they became events or were refused."""
        if self._native is not None:
            try:
                return self._native.elements(value)
            except RuntimeError as error:
                self._give_up(error)
        return self._readable.elements(value)

    def _give_up(self, error: RuntimeError) -> None:
        self._native = None
        self._failed(str(error))


def chosen_decoder(
    limits: InputRules, identity: IdentityRules, native: NativeParts
) -> Decoder | SurvivingDecoder:
    """A decoder for these rules."""
    library, readable = native.library, Decoder(limits, identity)
    if library is None:
        return readable
    return SurvivingDecoder(ValueDecoder(library, limits, identity), readable, native.failed)
