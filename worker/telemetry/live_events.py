"""The log events of the live page's process: its start, its faults and its end.

The invariants of the package hold; the page's token and write key appear nowhere.
"""

from worker.telemetry.log_event import LogEvent


class LiveStarted(LogEvent, frozen=True, kw_only=True):
    """The live page can be opened. ``listen`` is the address in effect, ``collector`` the one to which the
    page sends events. Whether the brokers answer is shown on the page.
    """

    NAME = "live.started"
    version: str
    listen: str
    collector: str


class LiveStopped(LogEvent, frozen=True, kw_only=True):
    """The process was asked to stop and ends with exit code 0: every stream has ended."""

    NAME = "live.stopped"
    uptime_s: float


class LiveInternalError(LogEvent, frozen=True, kw_only=True):
    """A request was answered 500, or its answer was cut off. ``trace`` names places in the code and the kind
    of the error, no data of the request. One a minute is written.

    Remedy: a bug: please report it with ``trace``.
    """

    NAME = "live.internal_error"
    LEVEL = "error"
    trace: str


class LiveFailed(LogEvent, frozen=True, kw_only=True):
    """The process ends with exit code 1: it cannot listen, or cannot go on.

    Alert: always.

    Remedy: in ``reason``.
    """

    NAME = "live.failed"
    LEVEL = "error"
    reason: str
