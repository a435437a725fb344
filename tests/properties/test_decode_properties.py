"""What holds for decoding whatever comes in: no byte sequence raises, nothing is lost, the two paths agree.

Batches are put together from odd pieces, so that most are nearly right; limits are small, so that they are
met. Some are damaged byte by byte.
"""

import json
from collections.abc import Generator

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties.raw_values import batches, decoder, events, limits, objects, same, values
from worker.core.json_elements import names_as_sent, split_elements
from worker.core.quick_split import split_quickly
from worker.model.events import NO_JSON, DecodedValue


def result_of(steps: Generator[int, None, DecodedValue], counts: list[int]) -> DecodedValue:
    """What the steps lead to; ``counts`` gets what each of them gives."""
    while True:
        try:
            counts.append(next(steps))
        except StopIteration as end:
            decoded: DecodedValue = end.value
            return decoded


@settings(max_examples=1000)
@given(values)
@example(b'[{"id":"a","type":"a","device_id":"a","timestamp":1700000000000,"data":{"a":[[[[[1]]]]],"a":1}}]')
@example(b'[{"id":"a","type":"a","device_id":"a","timestamp":1700000000000,"data":{"a":", \\"_","b":1}}]')
@example(b'{"id":"a","type":"a","device_id":"null","timestamp":1700000000000} ')
@example(b'[{"b":[[[[[[1]]]]]],"b":1,"id":"a","type":"a","device_id":"a","timestamp":1700000000000},x]')
@example(b'[{"id":"\\n","type":"a","device_id":"a","timestamp":1700000000000,"data":1}]')
def test_the_fast_path_agrees_with_the_careful_one(value: bytes) -> None:
    assert same(decoder.decode(value), decoder.decode_carefully(value))


@settings(max_examples=500)
@given(values)
@example(b"[" + b",".join(b'{"id":%d}' % n for n in range(5)) + b"] 1")
def test_decoding_in_steps_finds_what_decoding_does(value: bytes) -> None:
    counts: list[int] = []
    decoded = result_of(decoder.decode_in_steps(value), counts)
    assert same(decoded, decoder.decode(value))
    found = len(decoded.events) + len(decoded.rejections)
    assert set(counts) <= {found, found - 1}  # one more: what follows the last element


@settings(max_examples=500)
@given(values, st.integers(0, 12))
@example(b"[x][,]", 9)
@example(b'["],["]', 9)
@example(rb'["\",\""]', 9)
@example(b"[1,", 9)
@example(b"[[1,2]", 9)
@example(b"[[1][2]", 9)
@example(b"[1][2]", 9)
@example(b"[}1,[}", 9)
@example(rb'["\\",1,"\"",2]', 9)
@example(rb"[\"a,\"b,1]", 9)
@example(rb'[\\"a,1",2]', 9)
@example(rb'[1,"\n]', 9)
@example(b'[{1,2},{3,"4"},{},{,}]', 9)
@example(b"[{1},{2}},{3,4}]", 9)
@example(b'[{"},{":1},{2}]', 9)
@example(b"[{1}, {2,3},{4}]", 9)
@example(b"[ {1,2},{3}]", 9)
@example(b'[{"a":"},{"}, {"b":1},{"c":2}]', 9)
@example(b'[{"a":{},{}},{"b":1}]', 9)
@example(b'[{"a":[{},{}]},{"b":1}]', 9)
@example(b"[{},,{},{}]", 9)
@example(rb"[{},{\"}]", 9)
@example(b'[{"a":{"b":[1,2]},"c":{}},{"d":",[:"}]', 9)
@example(b"[{1,2},{3} ]", 9)
@example(b"[{1,2},{3},{4}]", 1)
def test_splitting_quickly_finds_what_splitting_does(value: bytes, most: int) -> None:
    text = value.strip(b" \t\n\r")
    found = split_quickly(text, most)

    assert found is None or found == split_elements(text, most)


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
def test_every_element_has_one_outcome(value: bytes) -> None:
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
def test_what_is_complete_before_a_cut_has_the_same_outcome_as_without(
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

    elements, rest, rest_index = split_elements(text, most=100)

    assert elements == expected
    assert (rest, rest_index) == (b"", None)


@settings(max_examples=300)
@given(objects(8).map(str.encode))
def test_names_as_sent_are_the_parsers_names(text: bytes) -> None:
    pairs: list[tuple[str, object]] = json.loads(text, object_pairs_hook=lambda found: found)

    assert [json.loads(name) for name in names_as_sent(text)] == [name for name, _ in pairs]
