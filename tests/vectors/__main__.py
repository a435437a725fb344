"""Writes the files of this folder again: what the readable engine says now."""

from tests.vectors.files import DIRECTORY, written
from tests.vectors.made import MADE

for name, vectors in MADE.items():
    (DIRECTORY / f"{name}.toml").write_text(written(vectors()), encoding="utf-8")
