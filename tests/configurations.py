"""Configurations under test: a file to write into, and the lines of a refusal."""

import dataclasses
from pathlib import Path

import pytest

from worker.config import ConfigError, load


@dataclasses.dataclass
class File:
    path: Path

    def with_text(self, text: str) -> Path:
        self.path.write_text(text, encoding="utf-8")
        return self.path


def faults(path: Path | None = None, /, **variables: str) -> list[str]:
    """The lines of a refusal, with the directory of the file left out."""
    with pytest.raises(ConfigError) as refused:
        load(path, {f"SESSIONIZER_{name}": value for name, value in variables.items()})
    directory = f"{path.parent}/" if path else ""
    return [line.replace(directory, "") for line in refused.value.lines]
