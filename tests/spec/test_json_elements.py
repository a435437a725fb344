"""Elements are found in text that is no JSON, brackets are counted, names are found as they were written."""

import pytest

from worker.core.json_elements import names_as_sent, nests_deeper, split_elements


def test_splitting_accounts_for_every_byte_but_commas_and_white_space() -> None:
    text = b'[ {"a":"],"} , x ,, [1,[2]] ] tail '

    elements, rest, rest_index = split_elements(text, most=10)

    assert elements == [b'{"a":"],"}', b"x", b"", b"[1,[2]]"]
    assert (rest, rest_index) == (b"tail", None)


def test_splitting_stops_after_one_more_than_allowed() -> None:
    assert len(split_elements(b"[1,2,3,4,5]", most=2).elements) == 3


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (b"", 0),
        (b"[]", 1),
        (b"[{}]", 2),
        (b"[][]", 1),
        (b"]]]][[[[[", 1),
        (b'["[[[["]', 1),
        (b'["[[[[', 1),
        (b'["\\"[[[",[]]', 2),
    ],
)
def test_depth_counts_brackets_outside_strings(text: bytes, depth: int) -> None:
    assert not nests_deeper(text, depth)
    assert depth == 0 or nests_deeper(text, depth - 1)


def test_names_are_found_as_they_were_written() -> None:
    element = rb'{ "a" : {"no":1} , "\u0062": "\",\"no\":" ,"c\"":[1,"no"],"":2 }'

    assert names_as_sent(element) == [b'"a"', rb'"\u0062"', rb'"c\""', b'""']
