"""``sessionizer run``: the worker itself."""

import typer

from worker.cli.config_option import ConfigPath, read
from worker.errors import Fatal


def run(config: ConfigPath = None) -> None:
    """Turn raw events into enriched ones until told to stop (SIGTERM, SIGINT)."""
    if not __debug__:
        raise Fatal("started with python -O: the Kafka client relies on its assertions; start without it")
    options = read(config)
    from worker import app  # late: Kafka's client and RocksDB take a while to load

    raise typer.Exit(app.run(options))
