"""What the recipes read: the output files of a replay, of any traffic; and what really was.

Decides which traffics there are, and the options that each is replayed with. As a program it writes the
demo's as raw lines, for those who check their own set-up by docs/analysts.md.
"""

import asyncio
import json
import sys
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Literal

from testing.events import Shape, records
from tests.builders import ms
from tests.recipes import worked_example
from tests.recipes.history import Memory, Types, history_of
from tests.recipes.hostile import hostile
from tests.recipes.raw_input import Lines, events_of, without_duplicates
from tests.recipes.visits import Site, site_of
from worker.config import load
from worker.demo.traffic import make_traffic
from worker.replay import replay

USUAL = Types(passive=frozenset({"heartbeat"}), unlink=frozenset({"logout"}))
PASSIVE_PURCHASES = Types(passive=frozenset({"heartbeat", "purchase"}), unlink=frozenset({"logout"}))
"""As where a server reports them."""

HOSTILE_SEED = 17


@dataclass(frozen=True)
class Traffic:
    """Raw lines, the event types with an effect, and what becomes of duplicates."""

    lines: Lines
    types: Types = USUAL
    duplicates: Literal["keep", "flag", "drop"] = "keep"

    def site(self, memory: Memory | None = None, zone: tzinfo = UTC) -> Site:
        """What really was, as far as it is remembered (by default as the worker does)."""
        events = events_of(self.lines)
        if self.duplicates == "drop":
            events = without_duplicates(events)
        return site_of(history_of(events, self.types, memory or Memory()), zone)


def traffics() -> dict[str, Traffic]:
    """Every traffic by its name."""
    return {
        "by hand": Traffic(worked_example.lines()),
        "demo": Traffic(demo()),
        "load": Traffic(load_of_the_benchmark()),
        "hostile": Traffic(hostile(HOSTILE_SEED), PASSIVE_PURCHASES),
        "no duplicates": Traffic(hostile(HOSTILE_SEED + 1, devices=80), PASSIVE_PURCHASES, "drop"),
    }


def demo() -> Lines:
    """The demo's shop, with its broken events."""
    traffic = make_traffic(3_000, seed=1, now_ms=ms("36:00:00"))
    return [
        {"received_at": record.timestamp_ms, "value": record.value.decode()} for record in traffic.records
    ]


def load_of_the_benchmark() -> Lines:
    """The benchmark's load, of fewer devices."""
    shape = Shape(events=6_000, devices=300)
    return [{"received_at": record.timestamp, "value": record.value.decode()} for record in records(shape)]


def replayed(traffic: Traffic, directory: Path) -> Path:
    """The directory of the output files."""
    raw, options, output = directory / "raw.ndjson", directory / "options.toml", directory / "replayed"
    raw.write_text("".join(json.dumps(line) + "\n" for line in traffic.lines))
    actions = {
        **dict.fromkeys(traffic.types.passive, "passive"),
        **dict.fromkeys(traffic.types.unlink, "unlink"),
    }
    listed = ", ".join(f'"{type_}" = "{action}"' for type_, action in sorted(actions.items()))
    options.write_text(
        f'[input]\nduplicates = "{traffic.duplicates}"\n[session]\nevent_types = {{ {listed} }}\n'
    )
    output.mkdir()
    asyncio.run(replay(load(options, {}), [raw], output, progress=lambda _read_bytes: None))
    return output


if __name__ == "__main__":
    sys.stdout.writelines(json.dumps(line) + "\n" for line in demo())
