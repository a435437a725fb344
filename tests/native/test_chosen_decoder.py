"""What a process reads with where the native engine is there, and where it fails."""

from collections.abc import Generator

import pytest
import sessionizer_native
from hypothesis import given

from tests.native.comparison import SMALL
from tests.properties import raw_values
from worker.core.decode import Decoder
from worker.model.events import DecodedValue
from worker.model.rules import IdentityRules, InputRules
from worker.native.chosen_decoder import SurvivingDecoder, chosen_decoder
from worker.native.parts import NativeParts
from worker.native.value_decoder import ValueDecoder

IDENTITY = IdentityRules()
GOOD = b'[{"id":"a","type":"a","device_id":"a","timestamp":1700000000000},[1],2]'


class FailingDecoder(ValueDecoder):
    """One whose engine panics at its second value."""

    def __init__(self) -> None:
        super().__init__(sessionizer_native, InputRules(), IDENTITY)
        self.values = 0

    def decode(self, value: bytes | None) -> DecodedValue:
        self._count()
        return super().decode(value)

    def elements(self, value: bytes) -> list[bytes]:
        self._count()
        return super().elements(value)

    def _count(self) -> None:
        self.values += 1
        if self.values > 1:
            raise sessionizer_native.EngineFailed("panicked at src/x.rs:1")


def result_of(steps: Generator[int, None, DecodedValue]) -> DecodedValue:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            decoded: DecodedValue = end.value
            return decoded


def test_the_native_engine_reads_where_it_is_used() -> None:
    installed, unused = NativeParts(sessionizer_native), NativeParts(None)
    assert isinstance(chosen_decoder(InputRules(), IDENTITY, installed), SurvivingDecoder)
    assert isinstance(chosen_decoder(InputRules(), IDENTITY, unused), Decoder)


@pytest.mark.parametrize("way", ["decode", "decode_in_steps", "elements"])
def test_where_it_fails_the_readable_form_goes_on_and_that_is_reported_once(way: str) -> None:
    reasons: list[str] = []
    native, readable = FailingDecoder(), Decoder(InputRules(), IDENTITY)
    decoder = SurvivingDecoder(native, readable, reasons.append)
    for reported in (0, 1, 1):
        if way == "elements":
            assert decoder.elements(GOOD) == readable.elements(GOOD)
        else:
            read = decoder.decode(GOOD) if way == "decode" else result_of(decoder.decode_in_steps(GOOD))
            assert raw_values.same(read, readable.decode(GOOD))
        assert len(reasons) == reported
    assert reasons == ["panicked at src/x.rs:1"]
    assert native.values == 2


@given(raw_values.values)
def test_elements_are_those_of_the_readable_form(value: bytes) -> None:
    native, readable = ValueDecoder(sessionizer_native, SMALL, IDENTITY), Decoder(SMALL, IDENTITY)
    decoded = readable.decode(value)
    if all(rejection.index is not None for rejection in decoded.rejections[:1]):  # else it is refused whole
        assert native.elements(value) == readable.elements(value)
