"""What holds for decoding whatever comes in: no byte sequence raises, nothing is lost, the two paths agree.

Batches are put together from odd pieces, so that most are nearly right; limits are small, so that they are
met. Some are damaged byte by byte.
"""

import json

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties.raw_values import batches, decoder, elements, events, limits, objects, values
from worker.core.decode import Decoder
from worker.core.json_elements import names_as_sent, split_at_every_comma, split_elements
from worker.core.many_elements import SHAPES
from worker.model.events import NO_JSON, DecodedValue
from worker.model.rules import IdentityRules


def same(one: DecodedValue, other: DecodedValue) -> bool:
    return list(one.events) == list(other.events) and list(one.rejections) == list(other.rejections)


@settings(max_examples=1000)
@given(values)
@example(b'[{"id":"a","type":"a","device_id":"a","timestamp":1700000000000,"data":{"a":[[[[[1]]]]],"a":1}}]')
@example(b'[{"id":"a","type":"a","device_id":"a","timestamp":1700000000000,"data":{"a":", \\"_","b":1}}]')
@example(b'{"id":"a","type":"a","device_id":"null","timestamp":1700000000000} ')
def test_the_fast_path_agrees_with_the_careful_one(value: bytes) -> None:
    assert same(decoder.decode(value), decoder.decode_carefully(value))


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

    def complaint(of: bytes) -> str:
        try:
            msgspec.json.decode(of, type=dict[str, msgspec.Raw] if of[:1] == b"{" else msgspec.Raw)
        except msgspec.DecodeError as error:
            return str(error)
        return ""

    assert complaint(element) == complaint(element.translate(SHAPES))


@settings(max_examples=500)
@given(values, st.integers(0, 12))
@example(b"[x][,]", 9)
@example(b'["],["]', 9)
@example(rb'["\",\""]', 9)
@example(b"[1,", 9)
def test_splitting_at_every_comma_finds_what_splitting_does(value: bytes, most: int) -> None:
    text = value.strip(b" \t\n\r")
    found = split_at_every_comma(text, most)

    assert found is None or found == split_elements(text, most, levels=100)


@settings(max_examples=300)
@given(st.lists(st.one_of(elements, st.sampled_from(ODD_ELEMENTS)), min_size=1, max_size=4), st.data())
def test_long_batches_are_judged_event_by_event_too(few: list[str], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(few) - 1), min_size=30, max_size=100))
    tail = data.draw(st.sampled_from(["]", ",]", "", ',"', ",x]y"]))
    value = b"[" + ",".join(few[place] for place in places).encode() + tail.encode()
    roomy = Decoder(msgspec.structs.replace(limits, max_events=1000), IdentityRules())

    assert same(roomy.decode(value), roomy.decode_carefully(value))


@settings(max_examples=500)
@given(values)
def test_what_comes_out_is_what_was_sent(value: bytes) -> None:
    decoded = decoder.decode(value)

    for event in decoded.events:
        assert event.id
        assert event.type
        assert event.device_id
        assert 10**11 <= event.timestamp < 10**14
        assert event.data is NO_JSON or bytes(event.data) in value
        for sent in (event.data, event.extra):
            if sent is not NO_JSON:
                assert isinstance(json.loads(bytes(sent).decode()), dict)
    for rejection in decoded.rejections:
        assert rejection.payload in value


@settings(max_examples=500)
@given(values)
def test_every_element_has_one_fate(value: bytes) -> None:
    decoded = decoder.decode(value)

    places = [rejection.index for rejection in decoded.rejections]
    inside = [place for place in places if place is not None]
    assert inside == sorted(set(inside))
    assert places.count(None) <= 1
    try:
        count = len(msgspec.json.decode(value.removeprefix(b"\xef\xbb\xbf"), type=list[msgspec.Raw]))
    except msgspec.DecodeError:
        # Whatever could not be split is there: nothing but a decoded event may be missing.
        assert decoded.events or decoded.rejections
    else:
        assert len(decoded.events) + len(decoded.rejections) == count or count > limits.max_events


@settings(max_examples=300)
@given(st.lists(events(), min_size=1, max_size=8), st.data())
def test_what_is_complete_before_a_cut_has_the_same_fate_as_without(
    batch: list[str], data: st.DataObject
) -> None:
    parts = [part.encode() for part in batch]
    kept = data.draw(st.integers(0, len(parts) - 1))
    cut = data.draw(st.integers(0, len(parts[kept]) - 1))
    start = b"[" + b"".join(part + b"," for part in parts[:kept])

    decoded = decoder.decode(start + parts[kept][:cut])
    complete = decoder.decode(b"[" + b",".join(parts[:kept]) + b"]")

    if kept:
        assert list(decoded.events) == list(complete.events)
        assert list(decoded.rejections[:-1]) == list(complete.rejections)
        assert decoded.rejections[-1].index == kept
        assert decoded.rejections[-1].payload == parts[kept][:cut].strip()
    else:
        assert [rejection.index for rejection in decoded.rejections] == [None]


@settings(max_examples=300)
@given(batches.map(str.encode))
def test_splitting_finds_what_the_parser_finds(text: bytes) -> None:
    try:
        expected = [bytes(raw) for raw in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except msgspec.DecodeError:
        return

    elements, rest, rest_index = split_elements(text, most=100, levels=100)

    assert elements == expected
    assert (rest, rest_index) == (b"", None)


@settings(max_examples=300)
@given(objects(8).map(str.encode))
def test_names_as_sent_are_the_parsers_names(text: bytes) -> None:
    pairs: list[tuple[str, object]] = json.loads(text, object_pairs_hook=lambda found: found)

    assert [json.loads(name) for name in names_as_sent(text)] == [name for name, _ in pairs]
