"""A cache of refusals, for elements of one value that must be refused alike.

To refuse one is expensive, and the elements of a broken or hostile value mostly differ in some digits only,
or are broken at the same place. Knows when two elements must be refused alike, and nothing of why.
Invariants: what is found for an element is what the careful checks would say of it, which rests on the forms
below (property tests hold them); no more than some hundred refusals are cached.
"""

import re

from worker.core.refusals import Refusal

_BEGINNING_BYTES = 12
"""What the parser says of a fault early in so many bytes it says of all elements that begin alike."""
LOOKAHEAD_BYTES = 4
"""So far beyond its place the parser may look before it calls something a fault, for a word such as false."""
_MOST_CACHED = 512
"""Where that many elements were unlike those before, the next will be, too."""


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
_WORDS = bytes(ord("x") if chr(byte).isalpha() else shape for byte, shape in enumerate(SHAPES))
DIGITS = bytes.maketrans(b"23456789", b"11111111")
"""Elements without \\u that this table makes the same have the same first fault up to the text of
``device_id``, but for two names of a field that may differ.
"""
_BACKSLASH = ord("\\")
MAY_BEGIN_JSON = {b"%c" % byte for byte in b'{["-0123456789tfn'}
"""Of an element that begins with none of these the parser looks at nothing else."""
_is_loose = re.compile(rb'(?:\A|[^"x])x').search
_place_of_fault = re.compile(r"\(byte (\d+)\)\Z").search


def words_of(element: bytes) -> bytes | None:
    """The element with one letter for all letters; None where it may matter which one it is.

    It does not matter in strings, but for escapes, nor directly behind one, where any is a fault. The parser
    says the same of all that are alike so, and they nest alike.
    """
    words = element.translate(_WORDS)
    return None if _is_loose(words) else words


class RefusalCache:
    """The refusals of elements of one value, found again for those that are like them."""

    def __init__(self) -> None:
        self._by_first_byte: dict[bytes, Refusal] = {}
        self._by_beginning: dict[bytes, Refusal] = {}
        self._by_words: dict[bytes, Refusal] = {}
        self._by_digits: dict[bytes, Refusal] = {}
        self._count = 0
        self.anything = False
        """Whether a search may find one."""
        self.room = True
        """Whether another one is cached."""

    def find(self, element: bytes, short: bool) -> Refusal | None:
        """The refusal of the element, if one is known.

        If it is not ``short``, it may nest too deep: then only those are like it that nest as it does, and
        not those that begin alike.
        """
        if self._by_digits and (found := self._by_digits.get(element.translate(DIGITS))):
            return found
        if self._by_words and (found := self._by_words.get(element.translate(_WORDS))):
            return found
        if not short:
            return None
        if self._by_first_byte and (found := self._by_first_byte.get(element[:1])):
            return found
        if self._by_beginning:
            return self._by_beginning.get(element[:_BEGINNING_BYTES].translate(SHAPES))
        return None

    def add_broken(self, element: bytes, refusal: Refusal, complaint: str, short: bool) -> None:
        """Cache the refusal of broken JSON, and for what the parser's complaint names the place of its fault.

        The parser says the same of all that is alike up to the fault; what is not ``short`` must be alike in
        whole, to nest alike.
        """
        if short:
            if element[:1] not in MAY_BEGIN_JSON:
                self._add(self._by_first_byte, element[:1], refusal)
                return
            fault = _place_of_fault(complaint)
            beginning = element[:_BEGINNING_BYTES]
            if fault and int(fault[1]) < _BEGINNING_BYTES - LOOKAHEAD_BYTES and _BACKSLASH not in beginning:
                self._add(self._by_beginning, beginning.translate(SHAPES), refusal)
                return
        if words := words_of(element):
            self._add(self._by_words, words, refusal)
        else:
            self.add_refused(element, refusal)

    def add_refused(self, element: bytes, refusal: Refusal) -> None:
        """Cache why an element was refused.

        It was refused for what it is, for its structure, or for its first fault in a text up to
        ``device_id``. Not for elements with both names of a field: these may differ in digits.
        """
        alike = element.translate(DIGITS)
        if b"\\u" not in element or b"1" not in alike:  # without digits only what is the same is alike
            self._add(self._by_digits, alike, refusal)
        else:
            self._count_one()

    def _add(self, known: dict[bytes, Refusal], alike: bytes, refusal: Refusal) -> None:
        known[alike] = refusal
        self.anything = True
        self._count_one()

    def _count_one(self) -> None:
        self._count += 1
        if self._count < _MOST_CACHED:
            return
        self.room = False
        for others in (self._by_digits, self._by_words):
            if len(others) > _MOST_CACHED // 2:  # hardly two were alike in that way: a search is in vain
                others.clear()
        self.anything = any((self._by_first_byte, self._by_beginning, self._by_words, self._by_digits))
