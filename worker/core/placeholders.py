"""Which ids name nobody: words that broken instrumentation sends for everybody, and forms of them.

Knows one text and the configured words; must not know which field it is of, nor what becomes of the event.
Invariants: only the comparison is normalised, ids stay as they were sent; a letter of a form is one of ASCII,
or any character beyond it that ``core.characters`` does not compare as another; the time is linear in the
text, which may be hostile and long; an ordinary ASCII id pays for none of the rules about others.
"""

import re
from collections.abc import Callable, Iterable

from worker.core.characters import (
    AS_COMPARED,
    ASCII_WHITE_SPACE,
    as_compared,
    characters_of,
    in_lower_case,
)
from worker.model.rules import IdentityRules

AROUND_FORMS = characters_of(ASCII_WHITE_SPACE) + "\"'`"
"""What does not count around a form that names nobody."""
AROUND_WORDS = AROUND_FORMS + "()[]{}<>"
"""What does not count around a word."""

FIRST_OF_NULL_WORDS = frozenset({"", *"nNuU", *AROUND_WORDS, *map(chr, AS_COMPARED)})
"""First characters that a text may have whose plain word is one of ``NULL_WORDS``."""

NULL_WORDS = frozenset({"", "null", "undefined", "none", "nan"})
"""Plain words of a session or view id that mean none: what scripts send for a value they do not have."""

# --- Forms ---

_PUNCTUATION_OR_SPACE = ASCII_WHITE_SPACE + r"!-/:-@\[-`{-~"
_PUNCTUATION = f"[{_PUNCTUATION_OR_SPACE}]"
_LETTER, _LETTER_OR_DIGIT = r"[A-Za-z\x80-\U0010ffff]", r"[0-9A-Za-z_\x80-\U0010ffff]"
_NO_NAME = r"[^0-9A-Za-z\x80-\U0010ffff]*+"
NO_VALUE_WORDS = ("null", "undefined", "none", "nan", "nil")
"""Plain words that name nobody also where they are repeated."""
_NO_VALUE = f"(?:{'|'.join(NO_VALUE_WORDS)})"
_BEGINNINGS_OF_NO_VALUE = frozenset([word[:3] for word in NO_VALUE_WORDS])
_FIRST_OF_FORMS = frozenset("0nu!#$%&'*+,-./:;=?@\\^_`|~")
"""How a plain word with a form begins; a text of which something was stripped may have one, too."""
_ZEROS = f"[0{_PUNCTUATION_OR_SPACE}]*+"
_holds_nothing = re.compile(rf"(?:{_ZEROS}(?:(?<=0)[xX])?+{_ZEROS})\Z").match
_repeats_no_value = re.compile(rf"{_NO_VALUE}(?:{_PUNCTUATION}++{_NO_VALUE})++\Z").match
_names_a_variable = re.compile(
    rf"%[A-Za-z_](?:{_LETTER_OR_DIGIT}|[.-])*+%\Z|__[A-Z][A-Z0-9_]*__\Z|\[object {_LETTER_OR_DIGIT}++\]\Z"
).match
_template = re.compile(
    r"(?:\{\{(.*)\}\}|\{%(.*)%\}|[$#%]\{(.*)\}|\$\((.*)\)|%\((.*)\)s|<%(.*)%>|%%(.*)%%)\Z", re.DOTALL
).match
_begins_with_a_name = re.compile(_NO_NAME + _LETTER).match
_is_uuid = re.compile(_NO_NAME + r"[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}").match


def plain_word(text: str) -> str:
    """The form in which ids are compared with words.

    It is without invisible characters, and without white space, quotes and brackets around. Letters of ASCII
    are in lower case.
    """
    return in_lower_case((text if text.isascii() else as_compared(text)).strip(AROUND_WORDS))


def plain_words(words: Iterable[str]) -> set[str]:
    """These words in the form in which ids are compared with them, and the empty one."""
    return {"", *map(plain_word, words)}


def placeholder_check(words: Iterable[str], *, forms: bool) -> Callable[[str], bool]:
    """A function that tells whether an id names nobody: by these words and, if ``forms``, by known forms."""
    blocked = frozenset(plain_words(words))
    around = AROUND_WORDS  # what is near is found sooner: this is asked of nearly every event
    first_of_forms, beginnings = _FIRST_OF_FORMS, _BEGINNINGS_OF_NO_VALUE

    def names_nobody(text: str) -> bool:
        if not text.isascii():
            text = as_compared(text)
        inner = text.strip(around)
        word = inner.lower() if inner.isascii() else in_lower_case(inner)
        if word in blocked:
            return True
        if inner == text:  # nothing was stripped
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


def _has_form(text: str, word: str) -> bool:
    """Whether the text, of that plain word, has a form that names nobody."""
    if _holds_nothing(word):
        return True
    if word[0] == "0" and len(word) == len(text):  # nothing is around: no other form begins so
        return False
    if _repeats_no_value(word):
        return True
    text = text.strip(AROUND_FORMS)
    if _names_a_variable(text):
        return True
    found = _template(text)
    if found is None or found.lastindex is None:
        return False
    inside = found[found.lastindex]
    return _begins_with_a_name(inside) is not None and _is_uuid(inside) is None
