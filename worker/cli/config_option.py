"""The option ``--config``, which commands share, and what is read by it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from worker.config import Config, load, warnings
from worker.process_limits import memory_limit_mb

ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="TOML file with options. Environment variables SESSIONIZER_<SECTION>_<KEY> win over it.",
        show_default="defaults and environment only",
    ),
]


def read(path: Path | None, *, connects: bool = True, collects: bool = False) -> Config:
    """The configuration. Raises ``ConfigError``, which ``main`` turns into exit code 2."""
    return load(path, os.environ, connects=connects, collects=collects)


def print_warnings(config: Config) -> None:
    """Print to stderr which values are allowed and look like a mistake."""
    for line in warnings(config, memory_limit_mb()):
        typer.echo(f"warning: {line}", err=True)
