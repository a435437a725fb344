"""The option that all commands with a configuration share."""

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
        help="TOML file with options; SESSIONIZER_<SECTION>_<KEY> in the environment wins over it.",
        show_default="defaults and environment only",
    ),
]


def read(path: Path | None, *, connects: bool = True) -> Config:
    """The configuration in force. Raises ``ConfigError``, which ``main`` turns into exit code 2."""
    return load(path, os.environ, connects=connects)


def print_warnings(config: Config) -> None:
    """On standard error, what is allowed and looks like a mistake."""
    for line in warnings(config, memory_limit_mb()):
        typer.echo(f"warning: {line}", err=True)
