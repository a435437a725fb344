"""What 100 KB of the worst input cost: ``python -m bench.worst_inputs``, ms of CPU to decode each kind.

With ``--native`` the native library reads, and its outcomes become the same objects.

Each kind is 100 KB, or as many elements as a batch may have, made so that a part of decoding has most to do;
and each element of ``testing/corpus`` that is refused, as often as it fits. The sixty most expensive are
listed, and beside them a loop of Python, for comparison between machines.
"""

import argparse
import json
from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from itertools import accumulate

from bench.in_memory import least_cpu_seconds
from testing.golden import golden_cases, input_bytes
from worker.core.decode import Decoder
from worker.model.rules import IdentityRules, InputRules
from worker.native.library import native_library
from worker.native.value_decoder import ValueDecoder

MOST_BYTES = 100_000
AIM_MS = 5
_PASSES = 7
_SHOWN = 60

EVENT = b'{"id":"e1","type":"click","device_id":"d1","timestamp":1700000000000}'


def with_data(data: object) -> bytes:
    return EVENT[:-1] + b',"data":' + json.dumps(data).encode() + b"}"


def batch(*elements: bytes) -> bytes:
    return b"[" + b",".join(elements) + b"]"


def full_batch(element: Callable[[int], bytes]) -> bytes:
    """As many elements as fit into 100 KB and into a batch. Each is made of its number."""
    elements = [element(number) for number in range(9_999)]
    ends = list(accumulate(len(found) + 1 for found in elements))
    return batch(*elements[: bisect_left(ends, MOST_BYTES)])


def word(number: int) -> bytes:
    """Five letters, others for each number, of those of which JSON makes its own words."""
    return bytes(b"nultrefase"[number // 10**digit % 10] for digit in range(5))


WORST_INPUTS = {
    "open brackets": b"[" * 100_000,
    "closed brackets": b"[" + b"[" * 49_999 + b"]" * 49_999 + b"]",
    "brackets of both kinds": b"[{" * 50_000,
    "brackets between numbers": b"[1" * 50_000,
    "closed brackets between numbers": b"[" + b"[1," * 24_999 + b"1" + b"]" * 25_000,
    "closed brackets between pairs": b"[" + b"[[]," * 19_999 + b"1" + b"]" * 20_000,
    "closed brackets between escaped quotes": b"[" + b'["\\"",' * 12_499 + b"1" + b"]" * 12_500,
    "elements of 17 levels": b"[" + (b"[" * 17 + b"1" + b"]" * 17 + b",") * 2_777 + b",]",
    "pairs of brackets": b'[{"a":' + b"[]" * 49_990,
    "pairs of pairs": b"[" + b"[[]][[]]" * 12_499,
    "valleys of brackets": b"[" + b"]]][[[" * 16_000,
    "stray closing braces": b"[}" * 50_000,
    "quotes": b"[" + b'"' * 99_999,
    "empty strings in brackets": b'[""' * 33_000,
    "backslashes": b'[{"a":"' + b"\\" * 99_990,
    "escaped quotes": b'[{"' + b'\\"' * 49_990,
    "escapes that may be names": b'[{"a":"' + b'\\n"' * 33_000,
    "an unclosed string in every element": b'[{"a:' * 20_000,
    "commas": b"[" + b"," * 99_999,
    "white space and commas": b"[" + b" ," * 49_999,
    "white space": b"[" + b" " * 99_999,
    "underscores": batch(with_data({"a": '"_' * 30_000})),
    "names with escapes": EVENT[:-1] + b',"\\u0061":1' * 9_000 + b"}",
    "names with underscores": EVENT[:-1] + b',"data":{"a":"' + b'_"\\"_' * 19_900,
    "small elements": full_batch(lambda _: b"1"),
    "small elements, no two alike": full_batch(lambda n: b"%d" % n),
    "elements of four levels": full_batch(lambda _: b"[[[[]]]]")[:-1] + b",]",
    "strings that are no UTF-8": full_batch(lambda n: b'"\xff%d"' % n),
    "broken elements": full_batch(lambda _: b"'a':1234"),
    "broken elements, no two alike": full_batch(lambda n: b"0%05d" % n),
    "broken elements, no two of a shape": full_batch(lambda n: b"x%b" % bin(n)[2:].encode()),
    "broken objects": full_batch(lambda n: b"{%d}" % n),
    "broken objects with commas": full_batch(lambda n: b"{1,%d}" % n),
    "broken at the end, no two alike": full_batch(lambda n: b'{"%b":}' % word(n)),
    "one broken element and many refused": full_batch(lambda n: b'{"id":%d}' % n if n else b"x"),
    "objects of no field": full_batch(lambda n: b'{"%d":1}' % n),
    "objects without most fields": full_batch(lambda n: b'{"id":%d}' % n),
    "objects without most fields, of letters": full_batch(lambda n: b'{"id":"%b"}' % word(n)),
    "ids of another type": full_batch(lambda n: b'{"id":[%d]}' % n),
    "ids with escapes": full_batch(lambda n: b'{"id":"\\n%d"}' % n),
    "names that are half an escape": full_batch(lambda _: b'{"\\u\xc2\x80"}'),
    "ids with escapes and letters": full_batch(lambda n: b'{"id":"\\n%b"}' % word(n)),
    "both names of an id": full_batch(lambda n: b'{"id":%d,"event_id":1}' % n),
    "types of another type": full_batch(lambda n: b'{"id":%d,"type":1}' % n),
    "events without a time": full_batch(lambda n: b'{"id":%d,"type":"click","device_id":"d1"}' % n),
    "events with data that is none": full_batch(lambda _: EVENT[:-1] + b',"data":1}'),
    "events with users of another type": full_batch(lambda _: EVENT[:-1] + b',"user_id":[]}'),
}


def loop_seconds() -> float:
    """100,000 turns of a loop of Python."""
    return least_cpu_seconds(lambda: sum(x & 7 for x in range(100_000)), _PASSES)


def golden_inputs() -> dict[str, bytes]:
    """The elements of the golden cases that default limits refuse, each repeated."""
    refused = {
        name: input_bytes(case)
        for name, case in golden_cases("element").items()
        if "reason" in case and "limits" not in case
    }
    return {
        f"many of: {name}": batch(*[element] * min(9_999, MOST_BYTES // (len(element) + 1)))
        for name, element in refused.items()
        if element and len(element) < MOST_BYTES
    }


def native_decoder() -> ValueDecoder:
    """A decoder of the native library. Exits where it is not installed."""
    library = native_library()
    if library.module is None:
        raise SystemExit(f"the native library cannot be measured: {library.missing_because}")
    return ValueDecoder(library.module, InputRules(), IdentityRules())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.worst_inputs", description="Hostile input alone.")
    parser.add_argument("--native", action="store_true", help="read with the native library")
    options = parser.parse_args()
    decoder = native_decoder() if options.native else Decoder(InputRules(), IdentityRules())
    inputs = WORST_INPUTS | golden_inputs()
    costs = {
        name: 1000 * least_cpu_seconds(partial(decoder.decode, value), _PASSES)
        for name, value in inputs.items()
    }
    by_cost = sorted(costs, key=lambda name: -costs[name])
    for name in by_cost[:_SHOWN]:
        print(f"{costs[name]:6.2f} ms  {name}")
    within = sum(cost <= AIM_MS for cost in costs.values())
    print(f"{within} of {len(costs)} kinds take at most {AIM_MS} ms")
    print(f"{loop_seconds() * 1000:6.2f} ms  100,000 turns of a loop")


if __name__ == "__main__":
    main()
