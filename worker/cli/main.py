"""The console script ``sessionizer``: its commands and their exit codes.

0: done; 1: failed; 2: wrong usage or configuration. The invariant: what a user can correct is a line on
stderr, never a stack trace. Commands import what they need when they run, so that ``--help`` is quick.
"""

import errno
import sys
from typing import Annotated

import typer

from worker import __version__
from worker.cli.check import check
from worker.cli.collect import collect
from worker.cli.config_show import config
from worker.cli.demo import demo
from worker.cli.health import health
from worker.cli.live import live
from worker.cli.replay import replay
from worker.cli.run import run
from worker.cli.standard_streams import replace_closed_streams
from worker.cli.topics import topics
from worker.config import ConfigError
from worker.errors import Fatal

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Errors of writing to stdout, which has no file name. An error of a file has one."""

app = typer.Typer(
    name="sessionizer",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it prints local variables, which hold people's data
)
app.command()(run)
app.command()(live)
app.command()(demo)
app.command()(replay)
app.command()(check)
app.command()(health)
app.add_typer(collect, name="collect")
app.add_typer(topics, name="topics")
app.add_typer(config, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sessionizer {__version__}")
        raise typer.Exit


@app.callback()
def _sessionizer(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn raw clickstream batches in Kafka into enriched events with sessions and users, exactly once."""


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    replace_closed_streams()
    try:
        app()
    except ConfigError as error:
        sys.exit(_fail(error.lines, code=2))
    except Fatal as error:
        sys.exit(_fail([str(error)], code=1))
    except OSError as error:
        if error.filename is None and error.errno not in _NO_ROOM:
            raise
        sys.exit(_fail([f"{error.filename or 'standard output'}: {error.strerror}"], code=1))


def _fail(lines: list[str], *, code: int) -> int:
    for line in lines:
        typer.echo(line, err=True)
    return code
