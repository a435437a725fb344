"""``sessionizer run``: the worker, in one process or in several."""

import sys
from typing import Annotated

import typer

from worker.cli.config_option import ConfigPath, read
from worker.cli.processes_option import Slot, number_of, own_command
from worker.config import Config
from worker.errors import Fatal


def run(
    config: ConfigPath = None,
    processes: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Number of processes, which share partitions and memory. auto: one for each core.",
        ),
    ] = "1",
    slot: Slot = None,
) -> None:
    """Turn raw events into enriched ones until stopped (SIGTERM, SIGINT, SIGHUP)."""
    options = read(config)
    count = number_of(processes)
    from worker import signals

    signals.end_before_work()
    if slot is not None:
        from worker.processes.lifeline import end_with_supervisor

        end_with_supervisor(sys.stdin.fileno())
    elif count > 1:
        raise typer.Exit(_supervise(options, count))
    from worker import app  # late: Kafka's client and RocksDB take a while to load

    raise typer.Exit(app.run(options, slot))


def _supervise(options: Config, count: int) -> int:
    """Keep ``count`` processes running; the exit code."""
    from worker import log_output, telemetry
    from worker.preflight import check_machine, warn_of_options
    from worker.process_limits import keep_files_private
    from worker.processes import slots, supervisor

    log_format = log_output.format_here(options.log.format)
    several = slots.slots(options, count, own_command(), log_format)
    instance = log_output.instance_here(options.log.instance)
    log_output.configure(log_format, options.log.level, instance=instance)
    keep_files_private()
    warn_of_options(options, count)
    try:
        check_machine(options)  # once, else each process would report the same
    except Fatal as fatal:
        telemetry.emit(telemetry.WorkerFailed(reason=str(fatal)))
        return 1
    return supervisor.run(several, options.health_file)
