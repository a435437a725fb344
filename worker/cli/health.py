"""``sessionizer health``: is the worker beside it well? For the probe of a container."""

import time
from pathlib import Path

import typer

from worker.cli.config_option import ConfigPath, read


def health(config: ConfigPath = None) -> None:
    """Tell by the age of health.file whether the worker of this machine makes progress. Asks no broker.

    Exit code 0: it does; 1: it does not, or does not run; 2: wrong configuration.
    """
    path = read(config).health.file
    if not path:
        typer.echo("health.file is not set: name a file there, and the worker touches it", err=True)
        raise typer.Exit(2)
    from worker.health import HealthFile

    verdict = HealthFile(Path(path)).verdict(time.time())
    typer.echo(verdict.reason)
    raise typer.Exit(0 if verdict.well else 1)
