"""The project's words: the glossary defines each term once, and words that no engineer searches for stay out.

``BANNED`` grows only: a row holds for code, documents, configuration and tests.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GLOSSARY = ROOT / "docs" / "glossary.md"

BANNED: dict[str, str] = {
    r"(?:a|its|another|first|earlier|later|this|that) li(?:fe|ves)": "incarnation, run, lifetime",
    r"anew": "again; recreated",
    r"at rest": "idle",
    r"dear(?:er|est)?": "expensive",
    r"doubtful": "unproven",
    r"dust": "leftovers",
    r"fates?": "outcome",
    r"forg[eo]t(?:s|ten|ting)?": "expire (a device), evict (a session), lose, drop",
    r"hand of": "part of",
    r"heard": "received, noticed",
    r"in hand": "held, available",
    r"intakes?": "input stage",
    r"judg(?:e|es|ed|ing|ement|ment)": "validate, check, classify",
    r"let in": "accept, admit",
    r"mend(?:s|ed|ing)?": "fix, correct",
    r"on (?:its|their|the) way": "being sent, in flight",
    r"outlets?": "output partitions",
    r"re-?key(?:s|ed|ing)?": "repartition",
    r"refuse_(?:forgotten_life|another_life|overtaken)": "reject_...",
    r"setbacks?": "failures",
    r"speech": "logging",
    r"tend(?:s|ed|ing)?": "run timers",
    r"time has come": "is due",
    r"told": "logged, reported",
    r"wary": "the name of the check",
}
"""Pattern of whole words, in any case -> what to write instead."""


def searched() -> Iterator[tuple[str, str]]:
    """Path from the root and text of every file whose words are held."""
    for folder in ("worker", "docs", "config", "testing", "bench", "tests"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in {".py", ".md", ".toml", ".sql"} and file != Path(__file__):
                yield file.relative_to(ROOT).as_posix(), file.read_text()
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
        if (ROOT / name).exists():
            yield name, (ROOT / name).read_text()


def banned_words(path: str, text: str) -> list[str]:
    """Every banned word of a text, with its line and what to write instead."""
    patterns = {
        re.compile(rf"(?<![A-Za-z]){pattern}(?![A-Za-z])", re.IGNORECASE): instead
        for pattern, instead in BANNED.items()
    }
    return [
        f"{path}:{number} says {match.group()!r}: write {instead}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern, instead in patterns.items()
        for match in pattern.finditer(line)
    ]


def glossary() -> dict[str, str]:
    """Term -> its entry, in the order of the page."""
    entries = {}
    for section in GLOSSARY.read_text().split("\n## ")[1:]:
        term, _, text = section.partition("\n")
        entries[term] = text.strip()
    return entries


def test_banned_words_occur_nowhere() -> None:
    found = [finding for path, text in searched() for finding in banned_words(path, text)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("text", ["It is re-keyed.", "x = rekey", "dust"])
def test_a_banned_word_is_found_with_its_line(text: str) -> None:
    (finding,) = banned_words("docs/a.md", "\n" + text)
    assert finding.startswith("docs/a.md:2 says")


def test_a_word_that_only_contains_a_banned_one_is_fine() -> None:
    assert banned_words("docs/a.md", "the industry, a walled-in garden") == []


def test_the_glossary_is_in_alphabetical_order() -> None:
    terms = [term.lower() for term in glossary()]
    assert terms == sorted(set(terms))
    assert len(terms) >= 25


def test_each_term_of_the_glossary_is_used_in_a_document_or_in_the_code() -> None:
    texts = [text.lower() for path, text in searched() if path != "docs/glossary.md"]
    words = {term: [part.strip() for part in term.lower().split(" and ")] for term in glossary()}
    unused = [t for t, parts in words.items() if not all(any(p in text for text in texts) for p in parts)]
    assert not unused


def test_each_entry_of_the_glossary_is_short_and_whole() -> None:
    for term, text in glossary().items():
        assert 40 < len(text) < 500, term
        assert text.endswith("."), term
