"""A replay in a directory of its own: lines go in, what came of them is read."""

import json
from pathlib import Path
from typing import Any

from tests.commands import Ended, Sessionizer

Lines = list[dict[str, Any]]


def text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def wrapped(value: object, received_at: object) -> bytes:
    return text({"received_at": received_at, "value": value})


class ReplayDirectory:
    """A directory with an input file, and what came of it."""

    def __init__(self, sessionizer: Sessionizer, directory: Path) -> None:
        self._sessionizer = sessionizer
        self.directory = directory
        self.input = directory / "raw.ndjson"
        self.output = directory / "out"

    def lines(self, *lines: bytes) -> "ReplayDirectory":
        self.input.write_bytes(b"".join(line + b"\n" for line in lines))
        return self

    def run(self, *arguments: object, **variables: str) -> Ended:
        return self._sessionizer(
            "replay", *(arguments or (self.input,)), "--output", self.output, **variables
        )

    def enriched(self, *arguments: object, **variables: str) -> Lines:
        ended = self.run(*arguments, **variables)
        assert ended.code == 0, ended.err
        return self.read("enriched.ndjson")

    def dead_letters(self, *arguments: object, **variables: str) -> Lines:
        ended = self.run(*arguments, **variables)
        assert ended.code == 0, ended.err
        return self.read("dead-letters.ndjson")

    def read(self, name: str) -> Lines:
        return [json.loads(line) for line in (self.output / name).read_bytes().splitlines()]

    def left_behind(self) -> list[str]:
        return sorted(path.name for path in self.output.iterdir()) if self.output.exists() else []
