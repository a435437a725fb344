"""What a hostile sender may cost: 100 KB of the worst input takes about as long as 100 KB of the worst other.

Time is that of the CPU, beside a loop of this very machine and minute.
"""

import pytest

from bench.in_memory import least_cpu_seconds
from bench.worst_inputs import WORST_INPUTS, loop_seconds
from worker.core.decode import Decoder
from worker.model.rules import IdentityRules, InputRules


@pytest.mark.parametrize("name", WORST_INPUTS)
def test_100_kb_of_the_worst_input_are_soon_done(name: str) -> None:
    decoder = Decoder(InputRules(), IdentityRules())
    value = WORST_INPUTS[name]

    assert 19_000 < len(value) <= 100_000
    assert decoder.decode(value).rejections or decoder.decode(value).events
    # The slowest takes two and a half times as long as the loop; anything quadratic a thousand times.
    assert least_cpu_seconds(lambda: decoder.decode(value), passes=3) < 15 * loop_seconds()
