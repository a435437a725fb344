"""The files of this folder: how they are written, and how they are read again.

A file holds arrays of tables, one for each rule, of texts, numbers and lists of these; bytes are in
hexadecimal. Invariant: what is written comes back the same, by any reader of TOML.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import json

DIRECTORY = Path(__file__).parent

Value = bool | int | str | Sequence["Value"]
Vector = Mapping[str, Value]
Vectors = Mapping[str, Sequence[Vector]]
"""The vectors of one file, by the rule that each is about."""


def written(vectors: Vectors) -> str:
    """The text of a file."""
    lines = ["# Made by the readable engine: python -m tests.vectors"]
    for rule, tables in vectors.items():
        for table in tables:
            lines += ["", f"[[{rule}]]", *(f"{name} = {_written(value)}" for name, value in table.items())]
    return "\n".join(lines) + "\n"


def read(name: str) -> Vectors:
    """The vectors of the file of that name, without its ending."""
    found: Vectors = tomllib.loads((DIRECTORY / f"{name}.toml").read_text(encoding="utf-8"))
    return found


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):  # JSON's escapes are TOML's; what TOML refuses besides is DEL
        return json.encode(value).decode().replace("\x7f", "\\u007f")
    return f"[{', '.join(map(_written, value))}]"
