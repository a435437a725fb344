"""What a process reads with where the native library is there, and where it fails."""

from collections.abc import Generator

import pytest
import sessionizer_native
from hypothesis import given

from tests.native.comparison import SMALL
from tests.properties import raw_values
from worker.core.decode import Decoder
from worker.errors import Fatal
from worker.model.events import DecodedValue
from worker.model.rules import IdentityRules, InputRules
from worker.native.chosen_decoder import MOST_STEP_BYTES, SurvivingDecoder, chosen_decoder
from worker.native.parts import NativeParts
from worker.native.value_decoder import ValueDecoder

IDENTITY = IdentityRules()
RAISED = (sessionizer_native.EngineFailed("at src/x.rs:1"), OverflowError("of a place"))
GOOD = b'[{"id":"a","type":"a","device_id":"a","timestamp":1700000000000},[1],2]'


class FailingDecoder(ValueDecoder):
    """One that raises that at its second value."""

    def __init__(self, raised: Exception) -> None:
        super().__init__(sessionizer_native, InputRules(), IDENTITY)
        self.raised = raised
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
            raise self.raised


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


@pytest.mark.parametrize("raised", RAISED, ids=repr)
@pytest.mark.parametrize("way", ["decode", "decode_in_steps", "elements"])
def test_where_it_fails_the_readable_form_goes_on_and_that_is_reported_once(
    way: str, raised: Exception
) -> None:
    reasons: list[Exception] = []
    native, readable = FailingDecoder(raised), Decoder(InputRules(), IDENTITY)
    decoder = SurvivingDecoder(native, readable, reasons.append)
    for reported in (0, 1, 1):
        if way == "elements":
            assert decoder.elements(GOOD) == readable.elements(GOOD)
        else:
            read = decoder.decode(GOOD) if way == "decode" else result_of(decoder.decode_in_steps(GOOD))
            assert raw_values.same(read, readable.decode(GOOD))
        assert len(reasons) == reported
    assert reasons == [raised]
    assert native.values == 2


def test_where_it_must_be_used_a_failure_is_not_passed_over() -> None:
    native = NativeParts(sessionizer_native, must=True)
    failing, readable = FailingDecoder(RAISED[0]), Decoder(InputRules(), IDENTITY)
    decoder = SurvivingDecoder(failing, readable, native.failed)
    decoder.decode(GOOD)
    with pytest.raises(Fatal, match=r'engine.implementation = "python"'):
        decoder.decode(GOOD)
    with pytest.raises(Fatal):
        native.check()


@pytest.mark.parametrize("size_bytes", [MOST_STEP_BYTES, MOST_STEP_BYTES + 1, 20 * MOST_STEP_BYTES])
def test_a_large_value_is_read_in_readable_steps(size_bytes: int) -> None:
    """Natively it holds up all others: 57 MB take 1.7 s."""
    limits = InputRules(max_value_bytes=20 * MOST_STEP_BYTES)
    filled = GOOD[:-1] + b"," + b"[1]," * 5_000
    value = filled.ljust(size_bytes - 2) + b"1]"
    readable, native = Decoder(limits, IDENTITY), NativeParts(sessionizer_native)
    steps = chosen_decoder(limits, IDENTITY, native).decode_in_steps(value)
    taken: list[int] = []

    def counted() -> Generator[int, None, DecodedValue]:
        while True:
            try:
                taken.append(next(steps))
                yield taken[-1]
            except StopIteration as end:
                decoded: DecodedValue = end.value
                return decoded

    assert raw_values.same(result_of(counted()), readable.decode(value))
    assert bool(taken) == (size_bytes > MOST_STEP_BYTES)


@given(raw_values.values)
def test_elements_are_those_of_the_readable_form(value: bytes) -> None:
    native, readable = ValueDecoder(sessionizer_native, SMALL, IDENTITY), Decoder(SMALL, IDENTITY)
    decoded = readable.decode(value)
    if all(rejection.index is not None for rejection in decoded.rejections[:1]):  # else it is refused whole
        assert native.elements(value) == readable.elements(value)
