"""What the demo takes from the worker's own log: since when the worker was at work.

Joining the group takes seconds in which nothing can come out, and only the worker knows when they are over.
"""

import json
from datetime import datetime
from pathlib import Path

from worker.telemetry import PartitionInitialized, PartitionRestored

RUNNING = (PartitionInitialized.NAME, PartitionRestored.NAME)


def running_since_s(log: Path) -> float | None:
    """When the first partition ran, in seconds since the epoch; None when none did."""
    for line in log.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # not the worker's: a library's traceback has lines of its own
        if isinstance(entry, dict) and entry.get("event") in RUNNING:
            return datetime.fromisoformat(entry["timestamp"]).timestamp()
    return None
