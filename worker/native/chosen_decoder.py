"""Which reading of values a process uses: the native one where the library is used, else the readable one.

Decides that, and what follows where the native one fails: from then on the readable one reads, or none where
that is not allowed. Must not know what values are read for. Invariants: a value has the same outcome whoever
reads it; in steps none takes much longer than the readable one's.
"""

from collections.abc import Callable, Generator

from worker.core.decode import Decoder
from worker.model.events import DecodedValue
from worker.model.rules import IdentityRules, InputRules
from worker.native.parts import NativeParts
from worker.native.value_decoder import ValueDecoder

MOST_STEP_BYTES = 512 * 1024
"""What is read natively in one step, which takes 15 ms at most (one core, 2026-11-30)."""


class SurvivingDecoder:
    """Decodes natively as long as that works, then by the readable form.

    ``failed`` is called with what the library raised, once. What it raises ends the call.
    """

    def __init__(self, native: ValueDecoder, readable: Decoder, failed: Callable[[Exception], None]) -> None:
        self._native: ValueDecoder | None = native
        self._readable = readable
        self._failed = failed

    def decode(self, value: bytes | None) -> DecodedValue:
        """The events in a value, and what of it was refused."""
        if self._native is not None:
            try:
                return self._native.decode(value)
            except Exception as error:  # noqa: BLE001  nothing that is read is an error to the library
                self._give_up(error)
        return self._readable.decode(value)

    def decode_in_steps(self, value: bytes) -> Generator[int, None, DecodedValue]:
        """What ``decode`` makes of the value: natively in one step where it is short, else in readable ones.

        While the library reads, nothing else of the process runs.
        """
        if self._native is not None and len(value) <= MOST_STEP_BYTES:
            return self.decode(value)
        return (yield from self._readable.decode_in_steps(value))

    def elements(self, value: bytes) -> list[bytes]:
        """The JSON texts of a value's elements, in order, whether they became events or were refused."""
        if self._native is not None:
            try:
                return self._native.elements(value)
            except Exception as error:  # noqa: BLE001  as above
                self._give_up(error)
        return self._readable.elements(value)

    def _give_up(self, error: Exception) -> None:
        self._native = None
        self._failed(error)


def chosen_decoder(
    limits: InputRules, identity: IdentityRules, native: NativeParts
) -> Decoder | SurvivingDecoder:
    """A decoder for these rules."""
    library, readable = native.library, Decoder(limits, identity)
    if library is None:
        return readable
    return SurvivingDecoder(ValueDecoder(library, limits, identity), readable, native.failed)
