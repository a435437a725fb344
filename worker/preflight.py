"""What must be right on this machine before a worker asks any broker.

Decides what is looked at and how a fault reads; nothing is left behind by looking. The invariant: what a
human has to change here is found within the first second, and not after the group was joined.
"""

import tempfile
from pathlib import Path

from worker.config import Config
from worker.errors import Fatal
from worker.health import HealthFile


def check_machine(config: Config) -> None:
    """Raises Fatal where Python runs without assertions, or ``health.file`` or ``state.directory`` cannot be
    written.

    The file says afterwards that no worker runs: one that was killed may have left it young.
    """
    if not __debug__:
        raise Fatal(
            "do not run under python -O or PYTHONOPTIMIZE: the assertions guard the protocol, the client "
            "library's too"
        )
    if config.health.file:
        try:
            HealthFile(Path(config.health.file)).prepare()
        except OSError as error:
            raise Fatal(f"health.file: {config.health.file} cannot be written: {error.strerror}") from error
    try:
        Path(config.state.directory).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=config.state.directory):
            pass
    except OSError as error:
        raise Fatal(f"state.directory: {config.state.directory} cannot be used: {error.strerror}") from error
