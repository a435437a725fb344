"""Which ids name nobody, and which only look so (docs/input.md, Ids that name nobody)."""

import hashlib
import sys
import unicodedata

import pytest

from worker.core.placeholders import (
    FIRST_OF_NULL_WORDS,
    NULL_WORDS,
    placeholder_check,
    plain_word,
    user_check,
)
from worker.model.rules import BLOCKED_IDS, IdentityRules

names_nobody = user_check(IdentityRules())
has_known_form = placeholder_check((), forms=True)
is_on_the_list = placeholder_check(BLOCKED_IDS, forms=False)

ALL_ZEROS = [
    "0",
    "00",
    "0.0",
    "-0",
    "+0",
    "0,0",
    "$0.00",
    "0x0",
    "0X0000",
    "0000000000000000",
    "0" * 32,
    "00000000-0000-0000-0000-000000000000",
    "{00000000-0000-0000-0000-000000000000}",
    "00:00:00:00:00:00",
    "#000000",
]
NOTHING_BUT_PUNCTUATION = [
    "-",
    "--",
    "?",
    "???",
    "...",
    "*****",
    "_",
    "/",
    "()",
    '""',
    "' '",
    "\u2014",
    "\u2026.",
]
REPEATED = [
    "null,null",
    "undefined-undefined",
    "null null",
    "None/None",
    "(null)|(null)",
    "undefined_null",
    "NaN:NaN",
]
TEMPLATES = [
    "{{user_id}}",
    "{{ customer.external_id }}",
    "{{${braze_id}}}",
    "{{{token}}}",
    "${user.id}",
    "#{user.id}",
    "%{user}",
    "$(USER_NAME)",
    "%(name)s",
    "<%= user.id %>",
    "{% user %}",
    "%%ADVERTISING_IDENTIFIER_PLAIN%%",
    "%USER_NAME%",
    "__IDFA_SHA1__",
    '"{{user}}"',
    " {{ nutzer }} ",
    "{{\u540d\u524d}}",
]
OBJECTS = ["[object Object]", "[object Undefined]", "[object HTMLInputElement]", "'[object Promise]'"]
WORDS = [
    "null",
    "NULL ",
    "(null)",
    "<null>",
    "[null]",
    "<nil>",
    "((null))",
    '{"null"}',
    "'undefined'",
    "\u201cundefined\u201d",
    "\u300cnull\u300d",
    "\uff08null\uff09",
    "object Object",
    "object Undefined",
    "{user_id}",
    "<user_id>",
    "unknown device",
    "unknown\u00a0device",
    "\u202fnull\u202f",
    "undefined\u200b",
    "\ufeffnull",
    "nu\u00adll",
    "\u202enull\u202c",
    "null\ufe0f",
    "n\u2060u\u2060l\u2060l",
    "\u200b",
    "\u2800",
    "(not set)",
    "<no value>",
    "anonymousUser",
    "-1",
    "\\N",
    "%!s(<nil>)",
    "9774d56d682e549c",
    "02:00:00:00:00:00",
]
REAL = [
    "007",
    "0042",
    "1",
    "-2",
    "n",
    "N",
    "none-such",
    "nonesuch",
    "nullable",
    "null-island",
    "undefined-123",
    "nannan",
    "nanna",
    "nan@example.org",
    "user-1",
    "unlinked",
    "0x1f",
    "x0",
    "0-0-1",
    "00000000-0000-0000-0000-000000000001",
    "{7f3e0000-e89b-12d3-a456-426614174000}",
    "{{7f3e0000-e89b-12d3-a456-426614174000}}",
    "{{af3e0000-e89b-12d3-a456-426614174000}}",
    "${1234}",
    "[12345]",
    "(ann)",
    "$ann",
    "@guest-list",
    "%7Bann%7D",
    "100%",
    "__ann__",
    "_null_hypothesis",
    "object storage",
    "[object storage unit]",
    "\u540d\u524d",
    "\u00dcnal",
    "\U0001f642",
    "ann\u200b",
    "02:00:00:00:00:01",
]


@pytest.mark.parametrize("text", [*ALL_ZEROS, *NOTHING_BUT_PUNCTUATION, *REPEATED, *TEMPLATES, *OBJECTS])
def test_an_id_of_a_known_form_names_nobody_whatever_is_on_the_list(text: str) -> None:
    assert has_known_form(text)
    assert names_nobody(text)


@pytest.mark.parametrize("text", WORDS)
def test_a_word_of_the_list_names_nobody_however_it_is_dressed(text: str) -> None:
    assert is_on_the_list(text)
    assert names_nobody(text)


@pytest.mark.parametrize("text", REAL)
def test_what_only_looks_like_a_placeholder_is_an_id(text: str) -> None:
    assert not names_nobody(text)


@pytest.mark.parametrize("text", ["0" * 32, "?", "{{name}}", "null,null", "[object Promises]", "__IDFA__"])
def test_without_forms_the_list_alone_decides(text: str) -> None:
    assert names_nobody(text)
    assert not is_on_the_list(text)


def test_nothing_is_nobody_with_any_list() -> None:
    for nothing in ("", " ", "\u200b", '""', "[]", "{}", "( )"):
        assert placeholder_check((), forms=False)(nothing)


def test_what_unicode_calls_a_format_character_never_makes_a_word_another() -> None:
    shown = [
        f"{code:04x}"
        for code in range(sys.maxunicode)
        if unicodedata.category(chr(code)) == "Cf" and plain_word(f"nu{chr(code)}ll") != "null"
    ]
    assert shown == []


def test_no_letter_or_digit_is_taken_for_invisible() -> None:
    fillers = {0x115F, 0x1160, 0x3164, 0xFFA0}  # Unicode calls them letters, and they show nothing
    kinds = {"Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No"}
    hidden = {
        code
        for code in range(sys.maxunicode)
        if unicodedata.category(chr(code)) in kinds and len(plain_word(f"a{chr(code)}b")) == 2
    }
    assert hidden <= fillers


def test_every_white_space_of_unicode_may_be_around_a_word() -> None:
    spaces = [chr(code) for code in range(sys.maxunicode) if chr(code).isspace()]
    assert [f"{ord(space):04x}" for space in spaces if plain_word(f"{space}null{space}") != "null"] == []


def test_the_first_character_of_every_null_word_is_known_to_the_fast_path() -> None:
    for code in range(sys.maxunicode):
        first = chr(code)
        assert first in FIRST_OF_NULL_WORDS or plain_word(f"{first}null") not in NULL_WORDS
        assert first in FIRST_OF_NULL_WORDS or plain_word(f"{first}ull") not in NULL_WORDS


def test_the_hashes_of_the_list_are_those_of_nothing() -> None:
    nothing = ("", "00000000-0000-0000-0000-000000000000", "null", "undefined")
    hashes = {
        hashlib.new(name, text.encode()).hexdigest() for text in nothing for name in ("md5", "sha1", "sha256")
    }
    assert hashes == {word for word in BLOCKED_IDS if len(word) in {32, 40, 64}}


def test_no_word_of_the_list_is_there_twice() -> None:
    words = [plain_word(word) for word in BLOCKED_IDS]
    assert sorted(words) == sorted(set(words))
