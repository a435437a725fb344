"""Which characters are white space, invisible or punctuation is written down: no Unicode table decides it."""

import re
import sys
from pathlib import Path

import pytest

from worker.core import characters
from worker.core.placeholders import NULL_WORDS, plain_word, user_check
from worker.model.rules import IdentityRules

INPUT_PAGE = Path(__file__).parents[2] / "docs" / "input.md"
EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1)]

is_nobody = user_check(IdentityRules())


def documented(row: str) -> set[str]:
    """The characters in a row of the table in docs/input.md."""
    [cells] = re.findall(rf"^\| {re.escape(row)} \| (.*) \|$", INPUT_PAGE.read_text(), re.MULTILINE)
    ranges = re.findall(r"U\+([0-9A-F]+)(?: to U\+([0-9A-F]+))?", cells)
    return {chr(code) for first, last in ranges for code in range(int(first, 16), int(last or first, 16) + 1)}


@pytest.mark.parametrize(
    ("row", "tables"),
    [
        ("white space", (characters.ASCII_WHITE_SPACE, characters.OTHER_WHITE_SPACE)),
        ("invisible, left out", (characters.INVISIBLE,)),
        ('quotes and brackets, as `"`', (characters.OTHER_QUOTES, characters.OTHER_BRACKETS)),
        ("punctuation, as `.`", (characters.OTHER_PUNCTUATION,)),
        ("dashes, as `-`", (characters.OTHER_DASHES,)),
    ],
)
def test_the_page_has_the_tables_that_are_compared_by(row: str, tables: tuple[str, ...]) -> None:
    assert documented(row) == set().union(*map(characters.characters_of, tables))


def test_a_character_is_in_one_table_only() -> None:
    others = [characters.OTHER_WHITE_SPACE, characters.INVISIBLE, characters.OTHER_QUOTES]
    others += [characters.OTHER_BRACKETS, characters.OTHER_PUNCTUATION, characters.OTHER_DASHES]

    assert len(characters.AS_COMPARED) == sum(len(characters.characters_of(table)) for table in others)


def test_shortcuts_leave_to_the_tables_what_they_have() -> None:
    """Two of Python's tables only send a text to the careful checks: what these know, they know as well."""
    assert all(character.isspace() for character in characters.WHITE_SPACE)
    controls = [character for character in EVERY_CHARACTER if characters.holds_control(character)]
    assert "".join(controls) == characters.characters_of("\x00-\x1f\x7f-\x9f")


def test_only_the_letters_of_ascii_have_a_lower_case() -> None:
    changed = [letter for letter in EVERY_CHARACTER if characters.in_lower_case("é" + letter) != "é" + letter]

    assert "".join(changed) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize("text", ["un\u212anown", "\u0130d", "null\u00df", "\u041d\u0415\u0422"])
def test_letters_that_other_scripts_fold_are_no_letters_of_words(text: str) -> None:
    assert not is_nobody(text)
    assert plain_word(text) not in NULL_WORDS


def test_a_blocked_word_of_another_script_is_blocked_as_it_is_written() -> None:
    is_nobody = user_check(IdentityRules(blocked_user_ids=("Гость",)))

    assert [is_nobody(text) for text in ("Гость", "«Гость»", "ГОСТЬ", "гость")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("text", "nobody"),
    [
        ("{{имя}}", True),
        ("{{\u0663}}", True),
        ("{{€}}", True),
        ("{{3a}}", False),
        ("{{_a}}", True),
        ("{{\u2014 3a}}", False),
        ("%NAMÉ_\u0663%", True),
        ("[object \u0663]", True),
        ("[object -]", False),
        ("__NAMÉ__", False),
    ],
)
def test_every_other_character_beyond_ascii_is_a_letter_in_a_template(text: str, nobody: bool) -> None:
    assert is_nobody(text) == nobody
