"""What decoding takes and keeps in memory, whatever is sent."""

import tracemalloc

import pytest

from worker.core.decode import Decoder
from worker.model.rules import IdentityRules, InputRules

UNDER_ITS_OTHER_NAME = b'{"id":"e1","event":"click","device_id":"d1","timestamp":1700000000000}'


@pytest.mark.parametrize("element", [b"1", b'""', b"{}", b'{"a":1}'])
def test_hundreds_of_thousands_of_elements_take_little_more_memory_than_their_value(element: bytes) -> None:
    # Real traffic, at first sight.
    value = b"[" + b",".join([*[UNDER_ITS_OTHER_NAME] * 16, *[element] * 250_000]) + b"]"

    tracemalloc.start()
    decoded = Decoder(InputRules(), IdentityRules()).decode(value)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert list(decoded.events) == []
    assert [rejection.reason for rejection in decoded.rejections] == ["too_many_events"]
    assert peak < 4 * len(value)


def test_a_decoder_keeps_no_long_device_ids() -> None:
    decoder = Decoder(InputRules(max_text_bytes=8192), IdentityRules())
    decoder.decode(b"[%b]" % UNDER_ITS_OTHER_NAME)

    tracemalloc.start()
    for number in range(1, 301):  # of zeros alone it would name nobody
        sent = b'[{"id":"e1","type":"click","device_id":"%08000d","timestamp":1700000000000}' % number
        assert decoder.decode(sent + b"]").events
        assert decoder.decode(sent + b",x]").events
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 300 * 8000 / 10
