"""Which ids name nobody: words that broken instrumentation sends for everybody, and forms of them.

Knows one text and the configured words; must not know which field it is of, nor what becomes of the event.
Invariants: only the comparison is normalised, ids stay as they were sent; what shows nothing is listed here
and not asked of Python, so that every version answers the same; the time is linear in the text, which may be
hostile and long; an ordinary ASCII id pays for none of the rules about others.
"""

import re
from collections.abc import Callable, Iterable

from worker.model.rules import IdentityRules

# What shows nothing, wherever it is: Unicode's default ignorable characters and all of its category Cf (soft
# hyphen, zero-width space and joiners, marks of direction and byte order, variation selectors, tags), the
# fillers of Hangul and the blank pattern of Braille.
_INVISIBLE = (
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd"
    "\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_ASCII_SPACES = " \t\n\v\f\r\x1c\x1d\x1e\x1f"
_OTHER_SPACES = "\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_OTHER_QUOTES = "\u00ab\u00b4\u00bb\u2018-\u201f\u2039\u203a\u300c-\u300f\uff02\uff07"
_OTHER_DASHES = "\u2010-\u2015\u2212\uff0d"
_OTHER_PUNCTUATION = "\u00a1\u00a7\u00b6\u00b7\u00bf\u2016\u2017\u2020-\u2027\u2030-\u2038\u203b-\u205e"
_OTHER_PUNCTUATION += "\u3001-\u3003\u30fb\uff01\uff0c\uff0e\uff0f\uff1a\uff1b\uff1f\uff61-\uff65"
_OTHER_BRACKETS = "\u3008-\u300b\u3010\u3011\u3014\u3015\uff08\uff09\uff1c\uff1e\uff3b\uff3d\uff5b\uff5d"


def _code_points(ranges: str) -> list[int]:
    """The code points of a regular expression's set of single characters and ranges."""
    found = re.findall("(.)-(.)|(.)", ranges, re.DOTALL)
    return [code for first, last, one in found for code in range(ord(first or one), ord(last or one) + 1)]


_AS_COMPARED: dict[int, str | None] = {
    **dict.fromkeys(_code_points(_INVISIBLE)),
    **dict.fromkeys(_code_points(_OTHER_SPACES), " "),
    **dict.fromkeys(_code_points(_OTHER_QUOTES + _OTHER_BRACKETS), '"'),
    **dict.fromkeys(_code_points(_OTHER_PUNCTUATION), "."),
    **dict.fromkeys(_code_points(_OTHER_DASHES), "-"),
}
_is_compared_otherwise = re.compile(
    f"[{_INVISIBLE}{_OTHER_SPACES}{_OTHER_QUOTES}{_OTHER_BRACKETS}{_OTHER_PUNCTUATION}{_OTHER_DASHES}]"
).search
_SPACES_AND_QUOTES = _ASCII_SPACES + "\"'`"
_AROUND = _SPACES_AND_QUOTES + "()[]{}<>"

FIRST_OF_NULL_WORDS = frozenset({"", *"nNuU", *_AROUND, *map(chr, _AS_COMPARED)})
"""First characters that a text may have whose plain word is one of ``NULL_WORDS``."""

NULL_WORDS = frozenset({"", "null", "undefined", "none", "nan"})
"""Plain words of a session or view id that mean none: what scripts send for a value they do not have."""

# --- Forms ---

_PUNCTUATION = r"[\s!-/:-@\[-`{-~]"
_NO_VALUE = "(?:null|undefined|none|nan|nil)"
_BEGINNINGS_OF_NO_VALUE = frozenset({"nul", "und", "non", "nan", "nil"})
_FIRST_OF_FORMS = frozenset("0nu!#$%&'*+,-./:;=?@\\^_`|~")
"""How a plain word with a form begins; a text of which something was stripped may have one, too."""
_holds_nothing = re.compile(r"(?:[0\s!-/:-@\[-`{-~]*+(?:(?<=0)[xX])?+[0\s!-/:-@\[-`{-~]*+)\Z").match
_repeats_no_value = re.compile(rf"{_NO_VALUE}(?:{_PUNCTUATION}++{_NO_VALUE})++\Z").match
_names_a_variable = re.compile(r"%[A-Za-z_][\w.-]*+%\Z|__[A-Z][A-Z0-9_]*__\Z|\[object \w++\]\Z").match
_template = re.compile(
    r"(?:\{\{(.*)\}\}|\{%(.*)%\}|[$#%]\{(.*)\}|\$\((.*)\)|%\((.*)\)s|<%(.*)%>|%%(.*)%%)\Z", re.DOTALL
).match
_begins_with_a_name = re.compile(r"[\W_]*+[^\W\d_]").match
_is_uuid = re.compile(r"[\W_]*+[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}").match


def plain_word(text: str) -> str:
    """The form in which ids are compared with words.

    It is in lower case, without invisible characters, and without white space, quotes and brackets around.
    """
    return (text if text.isascii() else _as_compared(text)).strip(_AROUND).lower()


def placeholder_check(words: Iterable[str], *, forms: bool) -> Callable[[str], bool]:
    """A function that tells whether an id names nobody: by these words and, if ``forms``, by known forms."""
    blocked = frozenset({"", *map(plain_word, words)})
    around = _AROUND  # what is near is found sooner: this is asked of nearly every event
    first_of_forms, beginnings = _FIRST_OF_FORMS, _BEGINNINGS_OF_NO_VALUE

    def names_nobody(text: str) -> bool:
        if not text.isascii():
            text = _as_compared(text)
        inner = text.strip(around)
        word = inner.lower()
        if word in blocked:
            return True
        if inner is text:  # the very same object: nothing was stripped
            first = word[0]
            if first not in first_of_forms or (first in "nu" and word[:3] not in beginnings):
                return False
        return forms and _has_form(text, word)

    return names_nobody


def user_check(identity: IdentityRules) -> Callable[[str], bool]:
    """Whether a user id names nobody."""
    return placeholder_check(identity.blocked_user_ids, forms=identity.blocked_forms)


def device_check(identity: IdentityRules) -> Callable[[str], bool]:
    """Whether a device id names no device."""
    return placeholder_check(identity.blocked_device_ids, forms=identity.blocked_forms)


def _as_compared(text: str) -> str:
    return text.translate(_AS_COMPARED) if _is_compared_otherwise(text) else text


def _has_form(text: str, word: str) -> bool:
    """Whether the text, of that plain word, has a form that names nobody."""
    if _holds_nothing(word):
        return True
    if word[0] == "0" and len(word) == len(text):  # nothing is around: no other form begins so
        return False
    if _repeats_no_value(word):
        return True
    text = text.strip(_SPACES_AND_QUOTES)
    if _names_a_variable(text):
        return True
    found = _template(text)
    if found is None or found.lastindex is None:
        return False
    inside = found[found.lastindex]
    return _begins_with_a_name(inside) is not None and _is_uuid(inside) is None
