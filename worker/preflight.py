"""What must be right on this machine before a worker asks any broker.

Decides what is looked at and how a fault reads; nothing is left behind by looking. The invariant: what a
human has to change here is found within the first second, and not after the group was joined.
"""

import tempfile
from pathlib import Path

from worker import telemetry
from worker.config import Config, warnings
from worker.errors import Fatal
from worker.health import HealthFile
from worker.process_limits import memory_limit_mb


def check_machine(config: Config) -> None:
    """Raises Fatal where Python runs without assertions, or ``state.directory`` or ``health.file`` cannot be
    written.

    The health file says afterwards that no worker runs: one that was killed may have left it young.
    """
    if not __debug__:
        raise Fatal(
            "do not run under python -O or PYTHONOPTIMIZE: the assertions guard the protocol, the client "
            "library's too"
        )
    try:
        Path(config.state.directory).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=config.state.directory):
            pass
    except OSError as error:
        raise Fatal(f"state.directory: {config.state.directory} cannot be used: {error.strerror}") from error
    if (health_file := config.health_file) is not None:
        try:
            HealthFile(health_file).prepare()
        except OSError as error:
            raise Fatal(f"health.file: {health_file} cannot be written: {error.strerror}") from error


def warn_of_options(config: Config, processes: int = 1) -> None:
    """Log each option whose value is allowed and looks like a mistake for so many processes."""
    for line in warnings(config, memory_limit_mb(), processes):
        telemetry.emit(telemetry.ConfigWarning(problem=line))
