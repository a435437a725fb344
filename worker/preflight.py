"""What must be right on this machine before a worker asks any broker.

Decides what is checked here; how a fault reads is decided where the thing is used. Knows no broker. The
invariant: what an operator has to change on this machine is reported within the first second, and once, not
by each of several processes.
"""

from worker import telemetry
from worker.adapters.state_directory import StateDirectory
from worker.config import Config, warnings
from worker.errors import Fatal
from worker.health import HealthFile
from worker.process_limits import memory_limit_mb


def check_assertions() -> None:
    """Raises Fatal where Python runs without assertions."""
    if not __debug__:
        raise Fatal(
            "do not run under python -O or PYTHONOPTIMIZE: the assertions guard the protocol, the client "
            "library's too"
        )


def check_machine(config: Config) -> None:
    """Raises Fatal where Python runs without assertions, or a file or directory cannot be written.

    Those are ``state.directory`` and the health file, which is removed: one that a killed worker left would
    pass for healthy.
    """
    check_assertions()
    StateDirectory(config.state.directory, config.kafka.group_id).prepare()
    if (health_file := config.health_file) is not None:
        try:
            HealthFile(health_file).prepare()
        except OSError as error:
            raise Fatal(f"health.file: {health_file} cannot be written: {error.strerror}") from error


def warn_of_options(config: Config, processes: int = 1) -> None:
    """Log each option whose value is allowed and looks like a mistake for that number of processes."""
    for line in warnings(config, memory_limit_mb(), processes):
        telemetry.emit(telemetry.ConfigWarning(problem=line))
