"""What a hostile sender may cost: 100 KB of the worst input takes about as long as 100 KB of the worst other.

Time is that of the CPU, beside a loop of this very machine and minute.
"""

from functools import partial

import pytest

from bench.in_memory import least_cpu_seconds
from bench.worst_inputs import WORST_INPUTS, loop_seconds, native_decoder
from worker.core.decode import Decoder
from worker.model.rules import IdentityRules, InputRules
from worker.native.library import native_library
from worker.native.value_decoder import ValueDecoder

NATIVE = [native_decoder()] if native_library().module else []


@pytest.mark.parametrize("name", WORST_INPUTS)
def test_100_kb_of_the_worst_input_are_soon_done(name: str) -> None:
    decoder = Decoder(InputRules(), IdentityRules())
    value = WORST_INPUTS[name]

    assert 19_000 < len(value) <= 100_000
    assert decoder.decode(value).rejections or decoder.decode(value).events
    # The slowest takes two and a half times as long as the loop; anything quadratic a thousand times.
    assert least_cpu_seconds(lambda: decoder.decode(value), passes=3) < 15 * loop_seconds()


@pytest.mark.parametrize("native", NATIVE)
def test_natively_they_are_done_sooner(native: ValueDecoder) -> None:
    loop_s = loop_seconds()
    for name, value in WORST_INPUTS.items():
        # The slowest takes as long as the loop. Whether that is 5 ms, the bench tells.
        assert least_cpu_seconds(partial(native.decode, value), passes=3) < 6 * loop_s, name


@pytest.mark.parametrize("native", NATIVE)
def test_natively_they_have_the_same_outcomes(native: ValueDecoder) -> None:
    readable = Decoder(InputRules(), IdentityRules())
    for name, value in WORST_INPUTS.items():
        one, other = native.decode(value), readable.decode(value)
        assert list(one.events) == list(other.events), name
        assert list(one.rejections) == list(other.rejections), name
