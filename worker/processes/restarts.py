"""When the process of a slot is started again, and when that is no remedy.

Pure: it is told how a process ended and answers with what follows. The invariant: what can never succeed ends
the whole, with an exit code that says so, instead of being started for ever.
"""

import signal
from typing import NamedTuple

WRONG_USAGE = 2
"""The exit code of wrong arguments or configuration: the next start would read the same."""

STEADY_S = 60.0
"""A process that ran so long has proved that it can: its next failure is the first."""

MOST_FAILURES = 5
"""So many in a row, none of them steady, and only a human can help."""


class Next(NamedTuple):
    """What follows the end of a process: the slot's failures in a row, and the seconds until the next start.

    ``restart_in_s`` is None when it is not started again.
    """

    failures: int
    restart_in_s: float | None


def after_end(exit_code: int, ran_s: float, failures: int) -> Next:
    """Nobody asked the process to end. ``failures`` is how often in a row this slot had failed before.

    Waits 1, 2, 4 and 8 s; exactly ``STEADY_S`` counts as steady. An end with 0 is no success either: whoever
    stopped this one process did not stop the whole.
    """
    failures = 1 if ran_s >= STEADY_S else failures + 1
    if exit_code == WRONG_USAGE or failures >= MOST_FAILURES:
        return Next(failures, None)
    return Next(failures, 2.0 ** (failures - 1))


def ended_as_asked(exit_code: int) -> bool:
    """Whether a process that was sent SIGTERM ended well: by itself, or before it listened to signals."""
    return exit_code in {0, -signal.SIGTERM}


def exit_code_for(exit_code: int) -> int:
    """The exit code of the whole when a slot's process that ended so is not started again."""
    return WRONG_USAGE if exit_code == WRONG_USAGE else 1
