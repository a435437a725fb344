"""What the recipes read: the output files of a replay, of any traffic."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.builders import ms
from worker.config import load
from worker.demo.traffic import make_traffic
from worker.replay import replay

Lines = list[dict[str, Any]]

OPTIONS = """
[session]
event_types = { "heartbeat" = "passive", "logout" = "unlink" }
"""


def invented() -> Lines:
    """The demo's shop, with its broken events."""
    traffic = make_traffic(3_000, seed=1, now_ms=ms("36:00:00"))
    return [
        {"received_at": record.timestamp_ms, "value": record.value.decode()} for record in traffic.records
    ]


def replayed(lines: Lines, directory: Path) -> Path:
    """The directory of the output files."""
    raw, options, output = directory / "raw.ndjson", directory / "options.toml", directory / "replayed"
    raw.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options.write_text(OPTIONS)
    output.mkdir()
    asyncio.run(replay(load(options, {}), [raw], output, progress=lambda _read_bytes: None))
    return output


def read(directory: Path, name: str) -> Lines:
    """One output file."""
    return [json.loads(line) for line in (directory / f"{name}.ndjson").read_text().splitlines()]
