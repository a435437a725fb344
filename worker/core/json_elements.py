"""Finds the elements of a JSON array in text that no JSON parser accepts as a whole.

Knows brackets, strings and commas, and nothing of events. It validates no element: whatever lies between two
commas outside brackets and strings is one, valid or not. Brackets are counted without regard to their kind,
as docs/input.md says. Invariants: never raises; every byte of the text but commas, outer brackets and white
space is in exactly one element or in the rest; the time is linear in the length of the text, because
possessive patterns never look back.
"""

import re
from itertools import accumulate, islice
from operator import indexOf
from typing import NamedTuple

WHITE_SPACE = b" \t\n\r"
"""What JSON allows between its tokens."""

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_strings_also_cut_off = re.compile(_STRING + b"?+", re.DOTALL)
_FLAT = rb'[\[{](?:[^"\[\]{}]++|' + _STRING + rb")*+[\]}]"
_NESTED = _FLAT
for _ in range(15):  # what has up to 16 levels is passed over in one match; what has more is worth some steps
    _NESTED = rb'[\[{](?:[^"\[\]{}]++|' + _STRING + b"|" + _NESTED + rb")*+[\]}]"
_UP_TO_COMMA_OR_OPENING = rb'(?:[^"\[\]{,]++|' + _STRING + b"|" + _NESTED + rb")*+"
_up_to_comma_or_opening = re.compile(_UP_TO_COMMA_OR_OPENING, re.DOTALL)
# Matches everywhere, if only nothing: so a search never goes on to a later place.
_next_elements = re.compile(rb"[ \t\n\r]*+(" + _UP_TO_COMMA_OR_OPENING + b")(,?+)", re.DOTALL)
_next_properties = re.compile(
    rb"[ \t\n\r]*+(" + _STRING + rb")" + _UP_TO_COMMA_OR_OPENING + b"(,?+)", re.DOTALL
)
_flat = re.compile(_FLAT, re.DOTALL).fullmatch
# A run of brackets of one direction, or where there are none left: a string that never closes, or the end.
_next_brackets = re.compile(
    rb'(?:[^"\[\]{}]++|' + _STRING + b"|" + _FLAT + rb')*+(?:(?P<opening>[\[{]++)|(?P<closing>[\]}]++)|"|\Z)',
    re.DOTALL,
)

# The last escape of a name and all up to the colon after it; may find one in a string that is no name.
_escape_in_name = re.compile(rb'\\.[^"\\]*+"[ \t\n\r]*+:', re.DOTALL)
_whole_strings = re.compile(rb'(?:[^"]++|' + _STRING + b")*+", re.DOTALL).match
_next_bracket = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+[\[\]{}]", re.DOTALL).finditer
_MANY_STEPS = 256
"""Brackets are counted in steps of 0.5 us, which know their places; from so many on in pieces, at 0.05 us."""
_PIECE_BYTES = 4 * 1024
_BEGINNING_BYTES = 4 * 1024  # what is too deep mostly is so from its beginning

_BACKSLASH = ord("\\")
_COMMAS_AN_ELEMENT = 16
MOST_QUOTES = 200_000
"""So many quotes a text may be split at: each takes 50 bytes."""
_UP, _DOWN = b"\x01", b"\xff"  # as signed bytes 1 and -1, the changes of depth
_ONE_KIND = bytes(ord(_UP if chr(byte) in "[{" else _DOWN) for byte in range(256))
# Deep ones first; the shallow twice, since what is taken away brings others together.
_VALLEYS = tuple(_DOWN * levels + _UP * levels for levels in (16, 4, 1, 1))
_ALL_BUT_BRACKETS = bytes(byte for byte in range(256) if chr(byte) not in "[]{}")
_ALL_BUT_BRACKETS_AND_QUOTES = _ALL_BUT_BRACKETS.replace(b'"', b"")


class Elements(NamedTuple):
    """What a text was split into, white space around each part left out.

    ``rest`` is what could not be split, empty where all could. ``rest_index`` is the place in the array of
    the element at which the rest begins, None where the rest comes after the end of the array or object.
    """

    elements: list[bytes]
    rest: bytes
    rest_index: int | None

    @property
    def cut_off(self) -> bool:
        """Whether the bracket that the text begins with is never closed."""
        return self.rest_index is not None and not self.rest.startswith(b"]")  # that one closes the array


def is_crowded(text: bytes, most: int) -> bool:
    """Whether an array may hold many more than ``most`` elements. The parser would make an object of each,
    and take 60 times the memory of the text.
    """
    return text.count(b",") > _COMMAS_AN_ELEMENT * most


def split_elements(text: bytes, most: int) -> Elements:
    """Split an array into its elements; a single object is one element. ``text`` begins with ``[`` or ``{``.

    Stops after ``most + 1`` elements, which tells the caller that there are more than ``most``.
    """
    if text.startswith(b"{"):
        end = _end_of_brackets(text, 0)
        if end < 0:
            return Elements([], text, 0)
        return Elements([text[:end]], text[end:].strip(WHITE_SPACE), None)

    elements: list[bytes] = []
    end = 0
    while len(elements) <= most:
        for found in _next_elements.finditer(text, end + 1):  # most elements, several times as fast as singly
            element, comma = found.groups()
            if not comma or len(elements) > most:
                break
            elements.append(element.rstrip(WHITE_SPACE))
        if len(elements) > most:
            break
        start = found.start(1)
        end = _end_of_element(text, found.end())
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


def opening_brackets(text: bytes) -> int:
    """How many opening brackets a text has, those in strings too."""
    # To take them away and look at the size takes half the time of counting.
    return 2 * len(text) - len(text.replace(b"{", b"")) - len(text.replace(b"[", b""))


def nests_deeper(text: bytes, levels: int) -> bool:
    """Whether brackets outside strings nest deeper than so many levels; ``[]`` is one level.

    The depth of a place is the opening brackets before it less the closing ones, of either kind, and may be
    less than nothing.
    """
    if len(text) <= levels or text.count(b"[") + text.count(b"{") <= levels:
        return False
    if len(text) > _BEGINNING_BYTES and nests_deeper(text[:_BEGINNING_BYTES], levels):
        return True
    brackets = _changes_of_depth(text)
    run = brackets.find(_UP * (levels + 1))
    if run >= 0 and 2 * brackets.count(_UP, 0, run) >= run:  # not more closed than opened before it
        return True
    for valley in _VALLEYS:  # counting takes 40 ns a bracket; what goes down and up again is no peak
        brackets = brackets.replace(valley, b"")
    return max(accumulate(memoryview(brackets).cast("b")), default=0) > levels


def brackets_outside_strings(text: bytes) -> bytes:
    """The brackets of a text, without what is in strings, also in one that is cut off."""
    if _BACKSLASH not in text:
        # A fifth of the time. Of a string without brackets there are only quotes, which may go in pairs.
        structure = text.translate(None, _ALL_BUT_BRACKETS_AND_QUOTES).replace(b'""', b"")
        if structure.count(b'"') <= MOST_QUOTES:
            return b"".join(structure.split(b'"')[::2])
    return _strings_also_cut_off.sub(b"", text).translate(None, _ALL_BUT_BRACKETS)


def _changes_of_depth(text: bytes) -> bytes:
    """A signed byte for each bracket outside strings."""
    return brackets_outside_strings(text).translate(_ONE_KIND)


def is_flat(text: bytes) -> bool:
    """Whether a JSON object or array holds no other one."""
    return _flat(text) is not None


def may_have_escaped_names(text: bytes) -> bool:
    """Whether a property's name may be written with an escape. False is certain."""
    return _escape_in_name.search(text) is not None


def names_as_sent(element: bytes) -> list[bytes]:
    """The names in a valid JSON object as they are written, quotes and escapes included, in order."""
    names: list[bytes] = []
    end = element.index(b"{")
    while end >= 0:
        position = -1
        for found in _next_properties.finditer(element, end + 1):
            name, comma = found.groups()
            names.append(name)
            if not comma:  # the last property, or what nests deep follows
                position = found.end()
                break
        end = _end_of_element(element, position) if position >= 0 else -1
    return names


def _end_of_element(text: bytes, position: int) -> int:
    """Where the comma or the array's closing bracket after the element is; -1 where there is none.

    ``position`` is in the element, where it was passed over up to a comma or an opening bracket. A stray
    ``}`` is part of the element: so the damage stays within it.
    """
    while text[position : position + 1] in {b"[", b"{"}:
        position = _end_of_brackets(text, position)
        if position < 0:
            return -1
        found = _up_to_comma_or_opening.match(text, position)
        assert found is not None
        position = found.end()
    return position if text[position : position + 1] in {b",", b"]"} else -1


def _end_of_brackets(text: bytes, position: int) -> int:
    """The position after the bracket that closes the one at ``position``; -1 where there is none.

    Runs of brackets are counted at once, or 100,000 of them would take 100,000 steps.
    """
    depth = 1
    for step, found in enumerate(_next_brackets.finditer(text, position + 1)):
        kind = found.lastgroup
        if kind is None:
            return -1
        start, end = found.span(kind)
        if step > _MANY_STEPS:
            return _end_of_many_brackets(text, start, depth)
        if kind == "opening":
            depth += end - start
        elif end - start < depth:
            depth -= end - start
        else:
            return start + depth
    return -1


def _end_of_many_brackets(text: bytes, position: int, depth: int) -> int:
    """The position after the bracket at which so many levels are closed; -1 where there is none."""
    size = _PIECE_BYTES
    while position < len(text):
        piece = _whole_strings(text, position, position + size)
        assert piece is not None
        if piece.end() == position:  # a string that is longer, or never closes
            if position + size >= len(text):
                return -1
            size *= 2
            continue
        changes = _changes_of_depth(piece[0])
        heights = accumulate(memoryview(changes).cast("b"), initial=depth)
        try:
            count = indexOf(heights, 0)
        except ValueError:
            depth += changes.count(_UP) - changes.count(_DOWN)
            position = piece.end()
            continue
        return next(islice(_next_bracket(text, position), count - 1, None)).end()
    return -1
