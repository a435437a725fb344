"""When a slot's process is started again, and when the supervisor gives up.

Pure: from how a process ended it decides what follows. Knows no clock and no process. The invariant: what can
never succeed ends the supervisor, with an exit code that says so, instead of being restarted for ever.
"""

import signal
from typing import NamedTuple

WRONG_USAGE = 2
"""The exit code of wrong arguments or configuration: the next start would read the same."""

HEALTHY_S = 60.0
"""A process that ran this long was healthy: its failures are counted from 1 again."""

MAX_FAILURES = 5
"""After this many failures in a row the supervisor gives up."""


class Next(NamedTuple):
    """The slot's failures in a row, and the seconds until its next start: None where there is none."""

    failures: int
    restart_in_s: float | None


def after_end(exit_code: int, ran_s: float, failures: int) -> Next:
    """What follows an end that nobody asked for. ``failures``: the slot's failures in a row before it.

    It is started again after 1, 2, 4 and 8 s. Exactly ``HEALTHY_S`` counts as healthy. Exit code 0 is a
    failure too: the supervisor did not stop the process.
    """
    failures = 1 if ran_s >= HEALTHY_S else failures + 1
    if exit_code == WRONG_USAGE or failures >= MAX_FAILURES:
        return Next(failures, None)
    return Next(failures, 2.0 ** (failures - 1))


def ended_as_asked(exit_code: int) -> bool:
    """Whether a process ended in order after SIGTERM or SIGINT, or by it, before it handled signals."""
    return exit_code in {0, -signal.SIGTERM, -signal.SIGINT}


def exit_code_for(exit_code: int) -> int:
    """The supervisor's exit code where a process that ended with ``exit_code`` is not started again."""
    return WRONG_USAGE if exit_code == WRONG_USAGE else 1
