"""Reading has the outcomes of the reference, which is written from the document, for every value and path."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from testing.golden import golden_cases, input_bytes
from tests.properties.raw_values import decoder, limits, values
from tests.reference.json_text import depth, split
from tests.reference.values import Reader, Refusal
from worker.core import json_elements
from worker.core.decode import Decoder
from worker.core.json_elements import nests_deeper, split_elements
from worker.core.placeholders import NULL_WORDS, device_check, plain_word, user_check
from worker.model.events import NO_JSON, DecodedValue, Event
from worker.model.rules import IdentityRules, InputRules


def reader_of(input_rules: InputRules) -> Reader:
    rules = IdentityRules()
    return Reader(
        input_rules, user_check(rules), device_check(rules), lambda text: plain_word(text) in NULL_WORDS
    )


reader = reader_of(limits)
MOST_BYTES = 20_000
"""The reference reads byte by byte, and recurses into what nests."""

BRACKETS = [
    "[",
    "]",
    "{",
    "}",
    "[[[[",
    "]]]]",
    '"',
    '\\"',
    "\\",
    ",",
    "1",
    " ",
    "é",
    "[1,[",
    "]}",
    '"[,"',
    "{{}}",
]
structures = st.lists(st.sampled_from(BRACKETS), max_size=60).map(lambda parts: "".join(parts).encode())
numbers = st.text("0123456789.eE+-", min_size=1, max_size=12)
strings = st.lists(
    st.sampled_from(
        [*'"\\/bfnrtuaxU \x00\x1f\x7fé', "\\u", "\\ud83d", "\\ude00", "\\ud800", "\\udbff", "00e9"]
    ),
    max_size=8,
).map("".join)


def plain(event: Event) -> dict[str, Any]:
    """The event as the reference has it."""
    fields = {name: getattr(event, name) for name in Event.__struct_fields__}
    for name in ("data", "extra"):
        fields[name] = None if fields[name] is NO_JSON else bytes(fields[name]).decode()
    return {name: value for name, value in fields.items() if value is not None}


def outcomes(decoded: DecodedValue) -> tuple[list[dict[str, Any]], list[Refusal]]:
    refusals: list[Refusal] = [(one.reason, one.index, one.payload) for one in decoded.rejections]
    return [plain(event) for event in decoded.events], refusals


@settings(max_examples=1000)
@given(values)
@example(
    b'[{"id":"a","type":7,"event":"7","device_id":-0,"timestamp":17e11,"data":{},"a":1,"b":1,"\\u0061":2}]'
)
@example(b'[{"id":"a","type":"a","device_id":"a","timestamp":1700000000000,"data":[[[[[1]]]]],"data":null}]')
@example(b'[{"id":"a","type":"a","device_id":"a","timestamp":1700000000000,"data":{"a":[[[[1]]]]}}]')
@example(b'{"id":"a","type":"a","device_id":"a","timestamp":1700000000000,"data":{"a":[[[[1]]]]}}')
def test_a_value_has_the_outcomes_of_the_reference(value: bytes) -> None:
    expected = reader.read(value)

    assert outcomes(decoder.decode(value)) == expected
    assert outcomes(decoder.decode_carefully(value)) == expected
    assert [outcomes(one) for one in decoder.decode_many([value, b"[]", value])] == [
        expected,
        ([], []),
        expected,
    ]


@pytest.mark.parametrize("kind", ["element", "tail", "value"])
def test_each_golden_case_has_the_outcomes_of_the_reference(kind: str) -> None:
    for name, case in golden_cases(kind).items():
        text = input_bytes(case)
        if text is None or len(text) > MOST_BYTES:
            continue
        value = {"element": b"[%b,1]", "tail": b"[1,%b", "value": b"%b"}[kind] % text
        input_rules = InputRules(**case.get("limits", {}))
        found = outcomes(Decoder(input_rules, IdentityRules()).decode(value))
        assert found == reader_of(input_rules).read(value), name


@settings(max_examples=1000)
@given(
    st.one_of(numbers, strings.map('"{}"'.format), strings.map('{{"{}":1}}'.format)),
    st.sampled_from(
        ["%s", '{"a":%s}', '{"id":"a","type":"a","device_id":"a","timestamp":1700000000000,"a":%s}']
    ),
)
def test_what_is_json_is_what_the_reference_says(text: str, around: str) -> None:
    value = b"[%b]" % around.replace("%s", text).encode()
    expected = reader.read(value)

    assert outcomes(decoder.decode(value)) == expected
    assert outcomes(decoder.decode_carefully(value)) == expected


@settings(max_examples=1000)
@given(numbers)
def test_timestamps_are_the_numbers_that_are_written(text: str) -> None:
    value = b'{"id":"a","type":"a","device_id":"a","timestamp":%b}' % text.encode()

    assert outcomes(decoder.decode(value)) == reader.read(value)


@pytest.mark.parametrize(("many_steps", "piece_bytes"), [(256, 4096), (0, 1), (1, 7)])
@settings(max_examples=500)
@given(structures)
@example(b'[["' + b"x" * 50 + b'"]]')
@example(b'[["' + b"x" * 50)
@example(b"[" * 20 + b"]" * 20)
def test_brackets_are_counted_as_the_reference_does(many_steps: int, piece_bytes: int, text: bytes) -> None:
    for first in (b"[", b"{"):
        whole = (first + text).strip(b" ")
        with pytest.MonkeyPatch.context() as patch:  # so that short texts have many steps, too
            patch.setattr(json_elements, "_MANY_STEPS", many_steps)
            patch.setattr(json_elements, "_PIECE_BYTES", piece_bytes)
            found = split_elements(whole, 100)
        assert (*found, found.cut_off) == tuple(split(whole))
    deepest = depth(text)
    assert not nests_deeper(text, deepest)
    assert not deepest or nests_deeper(text, deepest - 1)
