"""``sessionizer replay``: raw records from files, without Kafka.

Decides how the figures look; ``worker.replay`` does the work.
"""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.config_option import ConfigPath, print_warnings, read
from worker.errors import Fatal
from worker.signals import interrupted_by_signals

if TYPE_CHECKING:
    from worker.replay import Figures


def replay(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Raw records, one in each line; also .gz and .zst.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            metavar="DIR", file_okay=False, help="Directory for the output files.", show_default=False
        ),
    ],
    config: ConfigPath = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace output files in DIR.")] = False,
) -> None:
    """Enrich raw records from files by the same rules as run, with the same ids.

    A line is a record's value (an event or an array of events), or {"received_at": MS, "value": ...} with the
    value as JSON or as a string. DIR gets enriched.ndjson, dead-letters.ndjson, and sessions.ndjson and
    identities.ndjson with the last record of each session and device. At the end every session is closed.

    Exit code 0: done; 1: a file is damaged or the disk is full, and nothing was written; 2: wrong files.
    """
    options = read(config, connects=False)
    print_warnings(options)
    from rich.console import Console

    from worker.progress import ProgressView
    from worker.replay import UnusableFilesError, check_files
    from worker.replay import replay as replay_files

    try:
        size_bytes = check_files(files, output, overwrite=overwrite)
    except UnusableFilesError as error:
        for line in error.lines:
            typer.echo(line, err=True)
        raise typer.Exit(2) from error
    started = time.monotonic()
    try:
        view = ProgressView(Console(stderr=True, highlight=False), {"read": size_bytes or None}, unit="bytes")
        with interrupted_by_signals(), view:
            work = replay_files(options, files, output, progress=partial(view.reached, "read"))
            figures = asyncio.run(work)
    except KeyboardInterrupt as interrupt:
        raise Fatal("stopped before the end: no output was written") from interrupt
    typer.echo(describe(figures, time.monotonic() - started), nl=False)


def describe(figures: "Figures", seconds: float) -> str:
    """The figures as lines of text."""
    dead_letters = figures.dead_letters.total()
    lines = [
        _line("records", figures.records, ""),
        _line("events", figures.events, f"{figures.events / max(seconds, 0.001):,.0f} a second"),
        _line("enriched", figures.enriched, f"on {figures.devices:,} devices"),
        *_duplicates(figures),
        _line("dead letters", dead_letters, "each with its reason:" if dead_letters else ""),
    ]
    by_reason = sorted(figures.dead_letters.items(), key=lambda item: (-item[1], item[0]))
    lines += [f"{number:>29,}     {reason}" for reason, number in by_reason]
    lines += [
        _line("sessions", figures.sessions, f"opened, {figures.sessions_merged:,} merged into another"),
        _line("devices linked", figures.devices_linked, "to a user"),
    ]
    if figures.events_without_session:
        most = 2 * figures.events_without_session > figures.enriched
        remark = "events, more than half: see session.event_types" if most else "events, most of these types:"
        lines.append(_line("in no session", figures.events_without_session, remark))
        lines += [
            f"{number:>29,}     {name}" for name, number in figures.most_frequent_without_session().items()
        ]
    return "\n".join(lines) + "\n"


def _duplicates(figures: "Figures") -> list[str]:
    """What was found of them; nothing where there were none."""
    found = (("flagged", figures.duplicates_flagged), ("dropped", figures.duplicates_dropped))
    return [_line("duplicates", number, what) for what, number in found if number]


def _line(name: str, number: int, remark: str) -> str:
    return f"  {name:<17}{number:>10,}   {remark}".rstrip()
