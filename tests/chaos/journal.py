"""What was done when, line by line, for people and programs: the log of a run.

Invariant: a line is on disk when ``note`` returns, so it is there also where the run itself dies.
"""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from msgspec import json

from tests.chaos.schedule import Fault


class Journal:
    """An NDJSON file; ``at_s`` of each line is the time since the journal was opened."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=0)
        self._opened = time.monotonic()
        self.lines: list[dict[str, Any]] = []

    def now_s(self) -> float:
        """Seconds since it was opened."""
        return round(time.monotonic() - self._opened, 2)

    def note(self, what: str, **fields: Any) -> None:
        """One line."""
        line = {"at_s": self.now_s(), "what": what, **fields}
        self.lines.append(line)
        self._file.write(json.encode(line) + b"\n")

    def note_fault(self, fault: Fault, **fields: Any) -> None:
        """A fault: its kind, what it names, and for how long."""
        details = {"detail": fault.detail} if fault.detail else {}
        if fault.seconds:
            details["seconds"] = str(round(fault.seconds, 1))
        self.note(fault.kind, **details, **fields)

    def counts(self) -> Counter[str]:
        """How often each thing was noted."""
        return Counter(line["what"] for line in self.lines)

    def close(self) -> None:
        """No more lines."""
        self._file.close()
