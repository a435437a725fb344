"""Finds the elements of a JSON array in text that no JSON parser accepts as a whole.

Knows brackets, strings and commas, and nothing of events. It does not judge an element: whatever lies between
two commas outside brackets and strings is one, valid or not. Invariants: never raises; every byte of the text
but commas, outer brackets and white space is in exactly one element or in the rest; the time is linear in the
length of the text, because possessive patterns never look back.
"""

import re
from itertools import accumulate
from typing import NamedTuple

WHITE_SPACE = b" \t\n\r"
"""What JSON allows between its tokens."""

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_white_space = re.compile(rb"[ \t\n\r]*+")
_string = re.compile(_STRING, re.DOTALL)
_strings_also_cut_off = re.compile(_STRING + b"?+", re.DOTALL)
_FLAT = rb'[\[{](?:[^"\[\]{}]++|' + _STRING + rb")*+[\]}]"
_TWO_LEVELS = rb'[\[{](?:[^"\[\]{}]++|' + _STRING + b"|" + _FLAT + rb")*+[\]}]"
# Objects of one or two levels, which most events are, are passed over in one match.
_up_to_comma_or_opening = re.compile(rb'(?:[^"\[\]{,]++|' + _STRING + b"|" + _TWO_LEVELS + rb")*+", re.DOTALL)
# A run of brackets of one direction, or where there are none left: a string that never closes, or the end.
_next_brackets = re.compile(
    rb'(?:[^"\[\]{}]++|' + _STRING + b"|" + _FLAT + rb')*+(?:(?P<opening>[\[{]++)|(?P<closing>[\]}]++)|"|\Z)',
    re.DOTALL,
)

# The last escape of a name and all up to the colon after it; may find one in a string that is no name.
_escape_in_name = re.compile(rb'\\.[^"\\]*+"[ \t\n\r]*+:', re.DOTALL)
_MOST_STEPS_WHEN_TOO_DEEP = 10_000

_DEPTH_CHANGES = bytes(1 if chr(byte) in "[{" else 0xFF for byte in range(256))  # 0xFF is -1 as a signed byte
_ALL_BUT_BRACKETS = bytes(byte for byte in range(256) if chr(byte) not in "[]{}")


class Elements(NamedTuple):
    """What a text was split into, white space around each part left out.

    ``rest`` is what could not be split, empty where all could. ``rest_index`` is the place in the array of
    the element at which the rest begins, None where the rest comes after the end of the array.
    """

    elements: list[bytes]
    rest: bytes
    rest_index: int | None


def split_elements(text: bytes, most: int, levels: int) -> Elements:
    """Split an array into its elements; a single object is one element. ``text`` begins with ``[`` or ``{``.

    Stops after ``most + 1`` elements, which tells the caller that there are more than ``most``. May also stop
    in an element that nests deeper than so many ``levels``: its end is worth some steps only.
    """
    if text.startswith(b"{"):
        end = _end_of_brackets(text, 0, levels)
        if end < 0:
            return Elements([], text, 0)
        return Elements([text[:end]], text[end:].strip(WHITE_SPACE), None)

    elements: list[bytes] = []
    end = 0
    while len(elements) <= most:
        start = _skip_white_space(text, end + 1)
        end = _end_of_element(text, start, levels)
        cut_off = end < 0
        closes = text[end : end + 1] == b"]"
        empty = start == end
        if cut_off or (closes and empty and elements):  # a comma before the closing bracket ends nothing well
            return Elements(elements, text[start:].rstrip(WHITE_SPACE), len(elements))
        if not (closes and empty):
            elements.append(text[start:end].rstrip(WHITE_SPACE))
        if closes:
            return Elements(elements, text[end + 1 :].strip(WHITE_SPACE), None)
    return Elements(elements, b"", None)


def nests_deeper(text: bytes, levels: int) -> bool:
    """Whether brackets outside strings nest deeper than so many levels; ``[]`` is one level."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    brackets = _strings_also_cut_off.sub(b"", text).translate(_DEPTH_CHANGES, _ALL_BUT_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0) > levels


def may_have_escaped_names(text: bytes) -> bool:
    """Whether a property's name may be written with an escape. False is certain."""
    return _escape_in_name.search(text) is not None


def names_as_sent(element: bytes) -> list[bytes]:
    """The names in a valid JSON object as they are written, quotes and escapes included, in order."""
    names = []
    end = _skip_white_space(element, 0)
    while end >= 0:  # the last property has no comma after it
        name = _string.match(element, _skip_white_space(element, end + 1))
        if name is None:
            break
        names.append(name[0])
        end = _end_of_element(element, name.end(), len(element))
    return names


def _skip_white_space(text: bytes, position: int) -> int:
    found = _white_space.match(text, position)
    assert found is not None
    return found.end()


def _end_of_element(text: bytes, position: int, levels: int) -> int:
    """Where the comma or the array's closing bracket after the element is; -1 where there is none.

    A stray ``}`` is part of the element: so the damage stays within it.
    """
    while True:
        found = _up_to_comma_or_opening.match(text, position)
        assert found is not None
        position = found.end()
        stop = text[position : position + 1]
        if stop in {b",", b"]"}:
            return position
        if stop not in {b"[", b"{"}:
            return -1
        position = _end_of_brackets(text, position, levels)
        if position < 0:
            return -1


def _end_of_brackets(text: bytes, position: int, levels: int) -> int:
    """The position after the bracket that closes the one at ``position``; -1 where there is none.

    Runs of brackets are counted at once, or 100,000 of them would take 100,000 steps.
    """
    depth = 1
    for step, found in enumerate(_next_brackets.finditer(text, position + 1)):
        kind = found.lastgroup
        if kind is None or (depth > levels and step > _MOST_STEPS_WHEN_TOO_DEEP):
            return -1
        start, end = found.span(kind)
        if kind == "opening":
            depth += end - start
        elif end - start < depth:
            depth -= end - start
        else:
            return start + depth
    return -1
