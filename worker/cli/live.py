"""``sessionizer live``: the page on which one sees a session come to be."""

import os
from typing import Annotated

import typer

from worker.cli.config_option import ConfigPath
from worker.config import load
from worker.errors import Fatal


def live(
    config: ConfigPath = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where the page is served. Wins over live.listen.",
            show_default="live.listen, 127.0.0.1:8700",
        ),
    ] = None,
) -> None:
    """Serve a page that sends events to the collector and shows what becomes of them, until stopped."""
    given = {} if listen is None else {"SESSIONIZER_LIVE_LISTEN": listen}
    options = load(config, {**os.environ, **given})
    try:
        from worker.live import server
    except ImportError as error:
        raise Fatal(
            f"the live page needs the package {error.name}: pip install 'sessionizer[collect]'"
        ) from error
    raise typer.Exit(server.run(options))
