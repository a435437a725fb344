"""Hostile values cost the native reading no more than others of their size: CPU, the least of some runs."""

import time

from tests.native.comparison import Comparison
from worker.model.rules import IdentityRules, InputRules
from worker.native.library import native_library
from worker.native.value_decoder import ValueDecoder

NAMES = 400_000
EVENT = b'{"id":"a","type":"a","device_id":"a","timestamp":1700000000000'


def least_seconds(decoder: ValueDecoder, value: bytes) -> float:
    least = float("inf")
    for _ in range(5):
        began = time.process_time()
        decoder.count([value])
        least = min(least, time.process_time() - began)
    return least


def test_names_that_are_too_many_to_stay_are_not_all_compared() -> None:
    library = native_library().module
    assert library is not None
    decoder = ValueDecoder(library, InputRules(), IdentityRules())
    alike = EVENT + b',"0000000":1' * NAMES + b"}"
    different = EVENT + b"".join(b',"%07x":1' % number for number in range(NAMES)) + b"}"
    assert len(alike) == len(different)
    assert least_seconds(decoder, different) < 1.7 * least_seconds(decoder, alike)


def test_the_most_names_that_may_stay_do_and_one_more_does_not() -> None:
    """Each takes five bytes at least, but for its name."""
    for most in range(60, 90):
        comparison = Comparison(InputRules(max_object_bytes=most))
        for count in range(1, 18):
            names = b"".join(b',"%b":1' % bytes([96 + number] if number else []) for number in range(count))
            for value in (EVENT + names + b"}", EVENT + names + names + b"}"):
                difference = comparison.difference(value)
                assert difference is None, difference.shown()
