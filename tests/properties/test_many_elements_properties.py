"""Elements that are refused by the thousand are each checked as if alone, whatever is remembered of others.

What may be remembered rests on claims about elements that are alike, each tested here; and all must agree
with the slow path.
"""

import re

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties.raw_values import elements, limits, same
from worker.core.decode import Decoder
from worker.core.remembered_refusals import LOOKAHEAD_BYTES, MAY_BEGIN_JSON, SHAPES, words_of
from worker.model.rules import IdentityRules

ODD_ELEMENTS = [
    *(
        "",
        "01",
        "{",
        "[[1]",
        "{1}",
        "{x}",
        '{"a":01}',
        '{"a":1,}',
        "[1,]",
        "tru",
        "1.",
        "-x",
        "-",
        "-0",
        '"\\q"',
        '"\\b"',
        '"\\u00x1"',
    ),
    *(
        "x1",
        "x2",
        "x0",
        '"a" 1',
        '{"id":1}',
        '{"event_id":"a"}',
        '{"id":[]}',
        '{"id":null}',
        '{"id":1.5,"type":"a"}',
    ),
    *(
        '{"id":1,"event_id":1}',
        '{"id":1,"event_id":1,"type":"a","event":"a"}',
        '{"id":"\\u0011"}',
        '{"id":"\\n1"}',
    ),
    *('{"id":1,"event_id":"1"}', '{"id":1,"event_id":2}', '{"id":-1,"type":1}', '{"id":"a","event":"a"}'),
    *('{"id":1,"type":"a","device_id":"guest"}', '{"id":1,"type":"a","event":"b"}', '{"\\u0069d":1}'),
    *('{"id":1,"type":"a","device_id":7}', '{"id":1,"type":"a","device_id":[]}', '{"id":1,"type":" "}'),
    *('{"id":1,"type":"a","device_id":7,"timestamp":1}', '{"id":1,"type":"a","device_id":7,"timestamp":"x"}'),
    *(
        '{"id":"\x7f"}',
        '{"id":""}',
        '{"é":1}',
        '{"id":' + "9" * 41 + "}",
        "{" + '"a":' + "[" * 5 + "]" * 5 + "}",
    ),
]


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from([*ODD_ELEMENTS, b"\xff", b'"\xc2"', b"{\xed\xa0\x80}"]), min_size=1, max_size=40)
)
def test_refusals_in_the_thousands_are_those_of_the_careful_path(few: list[str | bytes]) -> None:
    parts = [part.encode() if isinstance(part, str) else part for part in few]
    roomy = Decoder(msgspec.structs.replace(limits, max_events=1000, max_depth=6), IdentityRules())
    many = parts * (300 // len(parts) + 1)  # after some runs in vain the rest is read without trials

    for value in (b"[" + b",".join(parts) + b"]", b"[" + b",".join(many) + b"]"):
        assert same(roomy.decode(value), roomy.decode_carefully(value))


def digits_changed(element: bytes, digits: list[int]) -> bytes:
    """The same with other digits than 0 in place of those."""
    return re.sub(
        rb"[1-9]", lambda found: b"%d" % digits[(found.start() + found[0][0]) % len(digits)], element
    )


@settings(max_examples=500)
@given(
    st.lists(st.one_of(elements, st.sampled_from(ODD_ELEMENTS)), min_size=1, max_size=3),
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=7), min_size=4, max_size=12),
)
@example(['{"id":1,"event_id":1}'], [[2], [1, 3], [2, 3], [4, 5]])
@example(['{"id":1,"type":"1","event":"1"}'], [[2], [1, 3], [2, 3], [4, 5]])
@example(['{"id":1,"type":"a1","event":"a1","device_id":"d","timestamp":1700000000000}'], [[1, 2], [2], [3]])
@example(["x" + "[" * 13 + "]" * 13, "x"], [[1], [2]])
@example(['{"id":"\\u0011"}'], [[1], [7], [1], [7]])
@example(['{"id":[1],"a":10}', '{"id":[1],"a":01}'], [[1], [2]])
@example(["{xxxxxxxxxxxx}", "{xxxxxxxxxxxx" + "[" * 13 + "]" * 13 + "}"], [[1], [2]])
@example(['{"id":1,"type":"a","device_id":11}'], [[1], [2], [1, 2], [2, 1]])
def test_elements_that_differ_in_their_digits_are_checked_each_on_its_own(
    few: list[str], digits: list[list[int]]
) -> None:
    blocked = IdentityRules(blocked_device_ids=("11", "d1"))
    roomy = Decoder(msgspec.structs.replace(limits, max_events=1000, max_depth=12), blocked)
    many = [digits_changed(element.encode(), some) for some in digits for element in few]

    value = b"[" + b",".join(many) + b",x]"
    assert same(roomy.decode(value), roomy.decode_carefully(value))


@settings(max_examples=500)
@given(
    st.one_of(
        st.sampled_from(ODD_ELEMENTS), elements, st.text('[]{}",: 019.eE-+tfnulrsx_/\x01é', max_size=12)
    )
)
def test_the_parser_complains_alike_of_all_elements_of_a_shape(text: str) -> None:
    element = text.encode()
    if b"\\" in element:
        return

    assert complaint(element) == complaint(element.translate(SHAPES))


@settings(max_examples=1000)
@given(
    st.one_of(
        st.sampled_from(ODD_ELEMENTS),
        elements,
        st.text('[]{}",: 01eE-tfnulrsx_\\/\x01é', max_size=12),
        st.text('[]{}",:1tfx', max_size=8).map('{{"t{}'.format),
    )
)
@example('{"a"true}')
@example('{"a":"b"false}')
@example('{"a":1e5x}')
@example('{"a": true}')
@example('"a",')
@example("tru")
def test_the_parser_complains_alike_of_all_elements_with_the_same_words(text: str) -> None:
    element = text.encode()
    if words := words_of(element):
        for letter in b"tfnelr":
            assert complaint(element) == complaint(words.replace(b"x", b"%c" % letter))


@settings(max_examples=1000)
@given(
    st.one_of(st.sampled_from(ODD_ELEMENTS), st.text('[]{}",: 019.eE-+tfnulrsx_/\x01é', max_size=12)),
    st.text('[]{}",: 019.eE-+tfnulrsx_/\\\x01é', max_size=12),
)
def test_the_parser_complains_alike_of_all_elements_that_are_alike_up_to_the_fault(
    text: str, rest: str
) -> None:
    element = text.strip(" ").encode()
    place = re.search(r"\(byte (\d+)\)\Z", complaint(element))
    if place is None:
        return
    if element[:1] not in MAY_BEGIN_JSON:
        assert complaint(element[:1] + rest.encode()) == complaint(element)
    seen = int(place[1]) + 1 + LOOKAHEAD_BYTES
    beginning = element[:seen]
    if b"\\" not in beginning:
        other = beginning.translate(SHAPES) + (rest.encode() if len(element) >= seen else b"")
        assert complaint(other) == complaint(element)


def complaint(element: bytes) -> str:
    """What the parser says of it; nothing where it is fine."""
    try:
        msgspec.json.decode(element, type=dict[str, msgspec.Raw] if element[:1] == b"{" else msgspec.Raw)
    except msgspec.DecodeError as error:
        return str(error)
    return ""


@settings(max_examples=300)
@given(st.lists(st.one_of(elements, st.sampled_from(ODD_ELEMENTS)), min_size=1, max_size=4), st.data())
def test_long_batches_are_checked_event_by_event_too(few: list[str], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(few) - 1), min_size=30, max_size=100))
    tail = data.draw(st.sampled_from(["]", ",]", "", ',"', ",x]y"]))
    value = b"[" + ",".join(few[place] for place in places).encode() + tail.encode()
    roomy = Decoder(msgspec.structs.replace(limits, max_events=1000), IdentityRules())

    assert same(roomy.decode(value), roomy.decode_carefully(value))
