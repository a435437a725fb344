"""``sessionizer topics create``: create missing topics, with the settings that the worker needs."""

import asyncio
from typing import Annotated

import typer

from worker.cli.check import print_problems
from worker.cli.config_option import ConfigPath, read

topics = typer.Typer(help="The worker's topics.", no_args_is_help=True)


@topics.command()
def create(
    config: ConfigPath = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of each topic. Needed where the raw topic is created too.",
            show_default=False,
        ),
    ] = None,
    replication_factor: Annotated[
        int | None,
        typer.Option(min=1, max=32_767, help="Replicas of each topic.", show_default="the brokers' default"),
    ] = None,
) -> None:
    """Create the topics that do not exist. Existing ones are checked and left as they are."""
    options = read(config)
    from worker.adapters.kafka import topics as kafka_topics
    from worker.adapters.kafka.topic_rules import problems
    from worker.log_output import silenced

    creating = kafka_topics.create(
        options,
        partitions=partitions,
        replication_factor=-1 if replication_factor is None else replication_factor,
    )
    try:
        with silenced():
            outcomes = asyncio.run(creating)
    except kafka_topics.WrongPartitionCount as error:
        raise typer.BadParameter(str(error), param_hint="--partitions") from error
    for outcome in outcomes:
        topic = outcome.topic
        verb = "created" if outcome.created else "existed"
        typer.echo(f"{verb} {topic.name}, partitions {topic.partitions}, replicas {topic.replication_factor}")
    found = problems({outcome.topic.name: outcome.topic for outcome in outcomes}, options)
    print_problems(found)
    raise typer.Exit(1 if found else 0)
