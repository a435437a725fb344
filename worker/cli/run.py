"""``sessionizer run``: the worker itself."""

import typer

from worker.cli.config_option import ConfigPath, read


def run(config: ConfigPath = None) -> None:
    """Turn raw events into enriched ones until told to stop (SIGTERM, SIGINT)."""
    options = read(config)
    from worker import app  # late: Kafka's client and RocksDB take a while to load

    raise typer.Exit(app.run(options))
