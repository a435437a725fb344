"""Writes the rows and the picture of docs/tour.md: ``python -m docs.generate_tour``.

The page is written by hand but for its blocks of JSON: each has a comment before it that names the lines it
shows, of the example file (``in``) or of what ``sessionizer replay`` makes of it (``out``).
"""

import asyncio
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from docs.tour_picture import draw
from worker.config import Config
from worker.model.topics import OUTPUTS
from worker.replay import OUTPUT_FILES, replay

EXAMPLE = Path(__file__).with_name("examples") / "one_day.ndjson"
DOCUMENT = Path(__file__).with_name("tour.md")
PICTURE = Path(__file__).with_name("tour.svg")
WIDTH = 118

_BLOCK = re.compile(
    r"(<!-- (in|out): ([\w.-]+) ([\d ]+) -->\n```json\n).*?(?=^```$)", re.MULTILINE | re.DOTALL
)


def files() -> dict[str, list[str]]:
    """The lines of the example and of every output of its replay, with the default options."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(replay(Config(), [EXAMPLE], Path(directory), progress=lambda _: None))
        outputs = {name: (Path(directory) / name).read_text().splitlines() for name in OUTPUT_FILES}
    return {EXAMPLE.name: EXAMPLE.read_text().splitlines(), **outputs}


def document(page: str, lines: dict[str, list[str]]) -> str:
    """The page with its blocks filled from the lines."""

    def filled(block: re.Match[str]) -> str:
        head, _, name, numbers = block.groups()
        return head + "".join(f"{wrapped(lines[name][int(number)])}\n" for number in numbers.split())

    return _BLOCK.sub(filled, page)


def shown(page: str) -> Iterator[tuple[str, int]]:
    """File and line number of everything that the page shows."""
    for block in _BLOCK.finditer(page):
        _, _, name, numbers = block.groups()
        yield from ((name, int(number)) for number in numbers.split())


def picture(lines: dict[str, list[str]]) -> str:
    """The day as SVG."""
    rows = {role: [json.loads(line) for line in lines[spec.file_name]] for role, spec in OUTPUTS.items()}
    sessions = sorted(rows["sessions"], key=lambda row: int(row["start"]))
    (identity,) = rows["identities"]
    return draw(rows["enriched"], sessions, identity, rows["dead_letters"])


def wrapped(line: str) -> str:
    """The line broken after commas between fields or elements; each following line begins with a space."""
    parts, start, depth, in_text, escaped = [], 0, 0, False, False
    for place, character in enumerate(line):
        if in_text:
            in_text = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_text = True
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
        elif character == "," and (depth == 1 or (depth == 2 and line[place - 1] == "}")):
            parts.append(line[start : place + 1])
            start = place + 1
    rows = [""]
    for part in (*parts, line[start:]):
        if len(rows[-1]) + len(part) > WIDTH:
            rows.append("")
        rows[-1] += part
    return "\n ".join(row.strip() for row in rows)


if __name__ == "__main__":
    made = files()
    DOCUMENT.write_text(document(DOCUMENT.read_text(encoding="utf-8"), made), encoding="utf-8")
    PICTURE.write_text(picture(made), encoding="utf-8")
