"""``sessionizer check``: whether brokers, topics and rights are what worker and collector need."""

import asyncio
from typing import TYPE_CHECKING

import typer

from worker.cli.config_option import ConfigPath, print_warnings, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from worker.adapters.kafka.topic_rules import Problem, Topic
    from worker.config import Config


def check(config: ConfigPath = None) -> None:
    """Compare brokers, topics and rights with what the worker needs. Changes nothing.

    Where write keys are configured, or collect.anonymous, the same for sessionizer collect.

    Exit code 0: all is right, though there may be warnings; 1: something is missing or wrong, each with its
    remedy; 2: wrong configuration.
    """
    options = read(config)
    collects = bool(options.collect.keys_file or options.collect.keys or options.collect.anonymous)
    if collects:
        options = read(config, collects=True)
    print_warnings(options)
    from worker.adapters.kafka import topics as kafka_topics
    from worker.log_output import silenced

    with silenced():
        topics, problems = asyncio.run(kafka_topics.check(options, collects=collects))
    wrong = [problem for problem in problems if not problem.unwise]
    _print_table(options, topics, {problem.topic for problem in wrong})
    print_problems(problems)
    raise typer.Exit(1 if wrong else 0)


def print_problems(problems: "Iterable[Problem]") -> None:
    """Print a line for each problem, and below those that have one remedy in common the command to copy."""
    by_remedy: dict[str, list[Problem]] = {}
    for problem in problems:
        by_remedy.setdefault(problem.remedy, []).append(problem)
    for remedy, alike in by_remedy.items():
        for problem in alike:
            grade = (
                f"stops the {problem.stops}" if problem.fatal else "warning" if problem.unwise else "wrong"
            )
            typer.echo(f"{grade}: {problem.topic}: {problem.what}")
        typer.echo(f"    remedy: {remedy}")


def _print_table(options: "Config", topics: "Mapping[str, Topic]", wrong: set[str]) -> None:
    from rich.table import Table

    from worker.adapters.kafka.topic_rules import shown_settings
    from worker.cli.tables import console

    table = Table("role", "topic", "state", "partitions", "replicas", "settings")
    table.columns[1].overflow = table.columns[-1].overflow = "fold"
    for role, name in options.topic_names.items():
        topic = topics.get(name)
        if topic is None:
            table.add_row(role, name, "missing")
        else:
            found = topic.settings or {}
            settings = "\n".join(
                f"{setting}={found[setting]}" for setting in shown_settings(role) if setting in found
            )
            state = "wrong" if name in wrong else "right"
            table.add_row(role, name, state, str(topic.partitions), str(topic.replication_factor), settings)
    console().print(table)
