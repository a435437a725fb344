"""``sessionizer health``: whether the worker on this machine is healthy. For a container's probe."""

import time

import typer

from worker.cli.config_option import ConfigPath, read


def health(config: ConfigPath = None) -> None:
    """Report by the age of the health file whether the worker makes progress. Contacts no broker.

    Exit code 0: it does; 1: it does not, or does not run; 2: wrong configuration.
    """
    path = read(config).health_file
    if path is None:
        typer.echo("health.file is empty: name a file there, and the worker touches it", err=True)
        raise typer.Exit(2)
    from worker.health import HealthFile

    verdict = HealthFile(path).verdict(time.time())
    typer.echo(verdict.reason)
    raise typer.Exit(0 if verdict.healthy else 1)
