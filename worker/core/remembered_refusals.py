"""What was said of the elements of one value, for those that are like them: to refuse one is dear, and the
elements of a broken or hostile value mostly differ in some digits only, or are broken at the same place.

Knows when two elements must be refused alike, and nothing of why. Invariants: what is found for an element is
what the careful checks would say of it, which rests on the two tables below (property tests hold them); no
more than some hundred elements are remembered.
"""

import re

from worker.core.field_values import Refusal

BEGINNING_BYTES = 12
"""What the parser says of a fault early in so many bytes it says of all elements that begin alike."""
LOOKAHEAD_BYTES = 4
"""So far beyond its place the parser may look before it calls something a fault, for a word such as false."""
_MOST_REMEMBERED = 512
"""Where that many elements were unlike each other the next will be, too."""


def _shape_of(byte: int) -> int:
    """One byte for all that a JSON parser takes alike, outside escapes."""
    character = chr(byte)
    if character in '[]{}",:\\ \t\n\r0+-.E' or character in "nulltruefalse":
        return byte
    if character in "123456789":
        return ord("1")
    return 0 if byte < 0x20 else ord("x")  # a string holds no control character


SHAPES = bytes(map(_shape_of, range(256)))
"""Of elements without a backslash that this table makes the same the parser says the same."""
DIGITS = bytes.maketrans(b"23456789", b"11111111")
"""Elements without \\u that this table makes the same have the same first fault up to the text of
``device_id``, but for two names of a field that may differ.
"""
_BACKSLASH = ord("\\")
MAY_BEGIN_JSON = {b"%c" % byte for byte in b'{["-0123456789tfn'}
"""Of an element that begins with none of these the parser looks at nothing else."""
_place_of_fault = re.compile(r"\(byte (\d+)\)\Z").search


class Remembered:
    """What was said of elements of one value, for those that are like them. Bounded."""

    def __init__(self) -> None:
        self.by_beginning: dict[bytes, Refusal] = {}
        """By the first byte where no JSON begins so; else by ``BEGINNING_BYTES``, of which there are more
        than one, in the words of ``SHAPES``. For short elements only, which do not nest too deep.
        """
        self.by_digits: dict[bytes, Refusal] = {}
        """By all of the element in the words of ``DIGITS``."""
        self.full = False

    def malformed(self, element: bytes, refusal: Refusal) -> None:
        """Remember what the parser said. It says the same wherever all is the same up to the fault."""
        fault = _place_of_fault(refusal[1])
        place = int(fault[1]) if fault else BEGINNING_BYTES
        beginning = element[:BEGINNING_BYTES]
        if element[:1] not in MAY_BEGIN_JSON:
            self._add(self.by_beginning, element[:1], refusal)
        elif len(beginning) > 1 and place < BEGINNING_BYTES - LOOKAHEAD_BYTES and _BACKSLASH not in beginning:
            self._add(self.by_beginning, beginning.translate(SHAPES), refusal)
        else:
            self.refused(element, refusal)

    def refused(self, element: bytes, refusal: Refusal) -> None:
        """Remember the first fault of an element, in its structure or in a text up to ``device_id``."""
        if b"\\u" not in element:
            self._add(self.by_digits, element.translate(DIGITS), refusal)

    def _add(self, known: dict[bytes, Refusal], alike: bytes, refusal: Refusal) -> None:
        known[alike] = refusal
        if len(known) > _MOST_REMEMBERED:
            self.full = True
            known.clear()
