"""Reads the golden cases of ``testing/corpus``, whose README says how they are written."""

import tomllib
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"

Case = dict[str, Any]


def golden_cases(kind: str) -> dict[str, Case]:
    """The cases of a kind (element, tail, value), by file and name."""
    found = {
        f"{file.stem}: {case['name']}": case
        for file in sorted(CORPUS.glob("*.toml"))
        for case in tomllib.loads(file.read_text(encoding="utf-8")).get(kind, [])
    }
    assert found
    return found


def input_bytes(case: Case) -> bytes | None:
    if "text" in case:
        return str(case["text"]).encode()
    if "latin1" in case:
        return str(case["latin1"]).encode("latin-1")
    if "repeat" in case:
        return repeated(case["repeat"])
    return None


def repeated(parts: list[tuple[str, int]]) -> bytes:
    return b"".join(text.encode() * times for text, times in parts)
