"""``sessionizer collect``: the HTTPS API, in one process or in several, and whether it is healthy."""

import sys
from typing import Annotated, Any

import typer

from worker.cli.collect_keys import keys
from worker.cli.config_option import ConfigPath, read
from worker.cli.processes_option import Slot, number_of, own_command
from worker.config import Config
from worker.config.load import PREFIX
from worker.errors import Fatal

collect = typer.Typer(invoke_without_command=True)
collect.add_typer(keys, name="keys")


@collect.callback()
def collect_events(
    context: typer.Context,
    config: ConfigPath = None,
    processes: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Number of processes, which share one address. auto: one for each core.",
        ),
    ] = "1",
    slot: Slot = None,
    sockets: Annotated[str, typer.Option(hidden=True, help="Set by the supervisor only.")] = "",
) -> None:
    """Take events by HTTPS and write them to the raw topic, until stopped (SIGTERM, SIGINT).

    Each answer 200 means that Kafka has acknowledged every accepted event. SIGHUP reads keys and certificate
    again.
    """
    if context.invoked_subcommand is not None:
        return
    options = read(config, collects=True)
    count = number_of(processes)
    from worker import signals

    signals.end_before_work()
    if slot is not None:
        from worker.processes.lifeline import end_with_supervisor

        end_with_supervisor(sys.stdin.fileno())
        process = _process()
        from worker.collector.listeners import Sockets

        raise typer.Exit(process.run(options, slot, Sockets.inherited(sockets)))
    raise typer.Exit(_supervise(options, count) if count > 1 else _process().run(options))


@collect.command()
def health(
    config: ConfigPath = None,
    ready: Annotated[bool, typer.Option("--ready", help="Ask /readyz instead of /healthz.")] = False,
) -> None:
    """Ask the collector on this machine, at collect.admin_listen, whether it is healthy. For a probe.

    Exit code 0: it is; 1: it is not, or does not run; 2: wrong configuration.
    """
    options = read(config)
    from worker.config.address import address_of

    address = address_of(options.collect.admin_listen)
    if address is None or not address.port:
        typer.echo("collect.admin_listen names no port: name one there, and the collector answers", err=True)
        raise typer.Exit(2)
    from worker.collector.health_request import ask

    answer = ask(address, "/readyz" if ready else "/healthz")
    typer.echo(answer.reason)
    raise typer.Exit(0 if answer.healthy else 1)


def _process() -> Any:
    """The module that runs the process. Raises Fatal where its packages are not installed."""
    try:
        from worker.collector import process
    except ModuleNotFoundError as error:
        raise Fatal(
            f"the HTTPS API needs the package {error.name}: pip install 'sessionizer[collect]'"
        ) from error
    return process


def _supervise(options: Config, count: int) -> int:
    """Bind the addresses once and keep ``count`` processes running on them; the exit code."""
    import os
    import signal

    from worker import log_output, telemetry
    from worker.collector.listeners import bind, close_all
    from worker.preflight import warn_of_options
    from worker.process_limits import keep_files_private
    from worker.processes import supervisor
    from worker.processes.slots import Slot as Process

    process = _process()
    log_format = log_output.format_here(options.log.format)
    log_output.configure(
        log_format, options.log.level, instance=log_output.instance_here(options.log.instance)
    )
    keep_files_private()
    warn_of_options(options, count)
    try:
        process.check_machine(options)
        shared = bind(options, count)
    except Fatal as fatal:
        telemetry.emit(telemetry.CollectFailed(reason=str(fatal)))
        return 1
    environment = {**os.environ, f"{PREFIX}LOG_FORMAT": log_format}
    several = [
        Process(
            number,
            (*own_command(), "--slot", str(number), "--sockets", sockets.as_text()),
            environment,
            descriptors=sockets.descriptors,
        )
        for number, sockets in enumerate(shared)
    ]
    program = supervisor.Program(
        stop_s=process.stops_within_s(options),
        failure=telemetry.CollectFailed,
        distinguishes=frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP}),
        release=lambda: close_all(shared),
    )
    return supervisor.run(several, program=program)
