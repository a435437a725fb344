"""What is kept and shown of measured runs.

Decides the table and the file of results. Knows nothing of how a run is made; minimum and median are all it
adds.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from statistics import median

import msgspec
from rich import box
from rich.table import Table

from bench.process_cost import Figures

RESULTS = Path(__file__).parent / "results"


class Run(msgspec.Struct, frozen=True):
    """One run. ``lost_or_repeated`` is events less records written: 0 when each event has exactly one
    outcome.

    ``complete``: all outputs were waited for; otherwise the two counts mean nothing.
    """

    label: str
    command: str
    job: str
    topic: str
    events: int
    complete: bool
    lost_or_repeated: int
    figures: Figures


def table(runs: Sequence[Run]) -> Table:
    """Minimum and median of the runs of each label."""
    result = Table(box=box.MARKDOWN)
    for column in ("what", "runs", "us CPU an event", "second half", "events/s", "peak MB", "broker us"):
        result.add_column(column, justify="left" if column == "what" else "right")
    result.add_column("others' CPU s", justify="right")
    result.add_column("lost or repeated", justify="right")
    for label in dict.fromkeys(run.label for run in runs):
        of_label = [run for run in runs if run.label == label]
        all_figures = [run.figures for run in of_label]

        def both(name: str, of: Sequence[Figures] = all_figures) -> str:
            values = [getattr(one, name) for one in of]
            return f"{min(values):.2f} / {median(values):.2f}"

        counts = {run.lost_or_repeated for run in of_label}
        result.add_row(
            label,
            str(len(of_label)),
            both("us"),
            both("us_second_half"),
            f"{median(one.events_per_s for one in all_figures):,.0f}",
            f"{max(one.peak_rss_mb for one in all_figures):.0f}",
            f"{median(one.broker_us for one in all_figures):.2f}",
            f"{max(one.others_cpu_s for one in all_figures):.1f}",
            ", ".join(map(str, sorted(counts))) if all(run.complete for run in of_label) else "not counted",
        )
    return result


def save(runs: Sequence[Run], name: str) -> Path:
    """Write the runs and what they ran on into the results; returns the file."""
    versions = {}
    for distribution in ("sessionizer", "aiokafka", "confluent-kafka", "msgspec", "rocksdict", "cramjam"):
        versions[distribution] = metadata.version(distribution)
    machine = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "versions": versions,
    }
    return write({"machine": machine, "runs": runs}, name)


def write(document: object, name: str) -> Path:
    """Write what was found into the results, as JSON under the time; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{name}.json"
    path.write_text(json.dumps(msgspec.to_builtins(document), indent=1) + "\n")
    return path


def progress(text: str) -> None:
    """Say on standard error how far a long measurement is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
