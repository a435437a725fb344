"""docs/tour.md shows what the program does: its rows and its picture are those of a replay of the example."""

import shlex
from collections import Counter
from pathlib import Path

import pytest

from docs import generate_tour
from tests.commands import Sessionizer


@pytest.fixture(scope="module")
def lines() -> dict[str, list[str]]:
    return generate_tour.files()


@pytest.fixture(scope="module")
def page() -> str:
    return generate_tour.DOCUMENT.read_text(encoding="utf-8")


def test_the_rows_of_the_tour_are_those_that_the_program_writes(
    page: str, lines: dict[str, list[str]]
) -> None:
    assert page == generate_tour.document(page, lines), "run: make docs"


def test_the_command_of_the_tour_writes_these_rows(
    page: str,
    lines: dict[str, list[str]],
    sessionizer: Sessionizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (command,) = [line.strip() for line in page.splitlines() if line.startswith("    sessionizer ")]
    *arguments, output = shlex.split(command)[1:]
    monkeypatch.chdir(generate_tour.DOCUMENT.parent.parent)
    assert sessionizer(*arguments, tmp_path / output).code == 0
    written = {file.name: file.read_text().splitlines() for file in (tmp_path / output).iterdir()}
    assert {**written, generate_tour.EXAMPLE.name: lines[generate_tour.EXAMPLE.name]} == lines


def test_the_picture_of_the_tour_shows_these_rows(lines: dict[str, list[str]]) -> None:
    drawn = generate_tour.PICTURE.read_text(encoding="utf-8")
    assert drawn == generate_tour.picture(lines), "run: make docs"


def test_the_tour_shows_every_record_and_every_row_once(page: str, lines: dict[str, list[str]]) -> None:
    everything = [(name, number) for name, rows in lines.items() for number in range(len(rows))]
    assert Counter(generate_tour.shown(page)) == Counter(everything)


def test_a_row_is_broken_after_commas_between_fields_and_nowhere_else() -> None:
    row = '{"a":"' + "x" * 80 + ', ","b":{"c":1,"d":[1,2]},"e":"\\",' + "y" * 40 + '"}'
    first, second = generate_tour.wrapped(row).split("\n ")
    assert first + second == row
    assert second.startswith('"e"')
