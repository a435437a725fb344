"""Values that share a call of the parser come out as if each had been read alone, whatever they are made of.

The pieces are made to flow together: brackets that close in the next value, strings that end there, and the
separator itself.
"""

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import click
from worker.core.decode import Decoder
from worker.core.many_values import MOST_BYTES, SEPARATOR, groups
from worker.model.events import DecodedValue
from worker.model.rules import IdentityRules, InputRules

decoder = Decoder(InputRules(max_events=3), IdentityRules())
GOOD = msgspec.json.encode(click("d1", user="anonymous", data={"a": 1}))
ODD_DATA = GOOD.replace(b'{"a":1}', b"1")
BEFORE_DATA, AFTER_DATA = GOOD.split(b'{"a":1}')
BEFORE_USER, AFTER_USER = GOOD.split(b"nym")
TWO_ARRAYS = b"[" + GOOD + b"],[" + GOOD + b"]"  # makes up for the array that two values have in common

pieces = st.sampled_from(
    [
        GOOD,
        BEFORE_DATA + b"[[1]",
        b"[2]]" + AFTER_DATA,
        b'{"data":[[1]',
        b"[2]]," + GOOD[1:],
        b"[2],3]," + GOOD[1:],
        BEFORE_USER + b"]",
        b"[" + AFTER_USER,
        GOOD.replace(b'{"a":1}', b'{"a":[1]}'),
        GOOD.replace(b'{"a":1}', '{"a":"\u00e9"}'.encode()),
        GOOD.replace(b'{"a":1}', b'{"a":"\xff"}'),
        GOOD[:-1],
        GOOD[1:],
        b"[",
        b"]",
        b"[2]]}",
        b'"',
        b'{"id":"x',
        b"{}",
        b"1",
        SEPARATOR,
        b",",
        b" ",
        b"",
    ]
)
arrays = st.lists(pieces, max_size=5).map(lambda parts: b"[" + b",".join(parts) + b"]")
values = st.one_of(st.none(), arrays, st.lists(pieces, max_size=6).map(b"".join), st.binary(max_size=20))


def same(one: DecodedValue, other: DecodedValue) -> bool:
    return msgspec.json.encode(one) == msgspec.json.encode(other)


@given(st.lists(values, max_size=8))
@example([b"[" + BEFORE_DATA + b"[[1]", b"[2]]" + AFTER_DATA + b"]", TWO_ARRAYS])
@example([b"[" + BEFORE_USER + b"]", b"[" + AFTER_USER + b"]", TWO_ARRAYS])
@example([b'[{"data":[[1]', b"[2]]," + GOOD[1:] + b"]", TWO_ARRAYS])
@example(
    [
        b'[{"data":[[1]',
        b"[2]]," + GOOD[1:] + b"]",
        b"[" + ODD_DATA + b"," + ODD_DATA + b"],[" + ODD_DATA + b"]",
    ]
)
@example([b'[{"a":{"data":[[1]', b"[2]]," + GOOD[1:] + b"]", TWO_ARRAYS])
@example([b"[]", TWO_ARRAYS])
@example([b"[" + GOOD + b"]" + SEPARATOR + b"[]", b"[" + BEFORE_DATA + b"[[1]", b"[2]]" + AFTER_DATA + b"]"])
def test_values_read_together_come_out_as_if_read_alone(batch: list[bytes | None]) -> None:
    together = decoder.decode_many(batch)
    assert len(together) == len(batch)
    for found, value in zip(together, batch, strict=True):
        assert same(found, decoder.decode(value)), value


@given(st.lists(values, max_size=40))
def test_groups_are_all_values_in_order(batch: list[bytes | None]) -> None:
    ranges = list(groups(batch))
    assert [place for start, end in ranges for place in range(start, end)] == list(range(len(batch)))


def test_a_large_value_is_read_alone() -> None:
    large = b"[" + b" " * MOST_BYTES + b"]"
    assert list(groups([b"[]", b"[]", large, b"[]"])) == [(0, 2), (2, 3), (3, 4)]
