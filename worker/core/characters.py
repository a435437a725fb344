"""The characters that rules about ids take for something else than themselves, as written tables.

Decides what is white space, what shows nothing, and what counts as a quote, a dash or punctuation where an id
is compared with words; must not know words, forms or fields. Invariant: nothing is asked of Python's Unicode
tables, so that every version answers the same, and so does every other implementation.

A table is written as the inside of a regular expression's set: single characters and ranges.
"""

import re

ASCII_WHITE_SPACE = " \t\n\v\f\r\x1c-\x1f"
OTHER_WHITE_SPACE = "\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# What shows nothing, wherever it is: Unicode's default ignorable characters and all of its category Cf (soft
# hyphen, zero-width space and joiners, marks of direction and byte order, variation selectors, tags), the
# fillers of Hangul and the blank pattern of Braille.
INVISIBLE = (
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd"
    "\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
OTHER_QUOTES = "\u00ab\u00b4\u00bb\u2018-\u201f\u2039\u203a\u300c-\u300f\uff02\uff07"
OTHER_BRACKETS = "\u3008-\u300b\u3010\u3011\u3014\u3015\uff08\uff09\uff1c\uff1e\uff3b\uff3d\uff5b\uff5d"
OTHER_DASHES = "\u2010-\u2015\u2212\uff0d"
OTHER_PUNCTUATION = "\u00a1\u00a7\u00b6\u00b7\u00bf\u2016\u2017\u2020-\u2027\u2030-\u2038\u203b-\u205e"
OTHER_PUNCTUATION += "\u3001-\u3003\u30fb\uff01\uff0c\uff0e\uff0f\uff1a\uff1b\uff1f\uff61-\uff65"


def characters_of(ranges: str) -> str:
    """All characters of a table, in its order.

    >>> characters_of("a-cx")
    'abcx'
    """
    found = re.findall("(.)-(.)|(.)", ranges, re.DOTALL)
    return "".join(
        chr(code) for first, last, one in found for code in range(ord(first or one), ord(last or one) + 1)
    )


WHITE_SPACE = characters_of(ASCII_WHITE_SPACE + OTHER_WHITE_SPACE)
"""Of nothing but these an id is empty."""

AS_COMPARED: dict[int, str | None] = {
    **dict.fromkeys(map(ord, characters_of(INVISIBLE))),
    **dict.fromkeys(map(ord, characters_of(OTHER_WHITE_SPACE)), " "),
    **dict.fromkeys(map(ord, characters_of(OTHER_QUOTES + OTHER_BRACKETS)), '"'),
    **dict.fromkeys(map(ord, characters_of(OTHER_PUNCTUATION)), "."),
    **dict.fromkeys(map(ord, characters_of(OTHER_DASHES)), "-"),
}
"""Code points beyond ASCII that are compared as another character, or as none."""

_is_compared_otherwise = re.compile(
    f"[{INVISIBLE}{OTHER_WHITE_SPACE}{OTHER_QUOTES}{OTHER_BRACKETS}{OTHER_PUNCTUATION}{OTHER_DASHES}]"
).search
_control_character = re.compile("[\x00-\x1f\x7f-\x9f]").search
_IN_LOWER_CASE = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def as_compared(text: str) -> str:
    """The text with each character of the tables as what it is compared as."""
    return text.translate(AS_COMPARED) if _is_compared_otherwise(text) else text


def in_lower_case(text: str) -> str:
    """The text with the letters of ASCII in lower case, and no others.

    >>> in_lower_case("NULL \u212a")
    'null \u212a'
    """
    return text.lower() if text.isascii() else text.translate(_IN_LOWER_CASE)


def is_blank(text: str) -> bool:
    """Whether the text is nothing but white space, or nothing at all."""
    return not text.strip(WHITE_SPACE)


def holds_control(text: str) -> bool:
    """Whether the text holds a control character: U+0000 to U+001F, U+007F to U+009F."""
    # Of a text that is printable by Python's tables nothing else is asked: no version prints one of these.
    return not text.isprintable() and _control_character(text) is not None
