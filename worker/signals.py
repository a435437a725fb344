"""What the signals of the system do to a running command.

Decides which signals stop it in order, which ask for the stacks, and which do nothing; not how it stops.
Knows no event, topic or other process. The invariant: no signal that a process can handle ends it without a
line in its log.
"""

import asyncio
import faulthandler
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

STOP = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,  # a terminal that closes; also how daemons are asked to read files again: ``on_reload``
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGXCPU,
)
"""Stop in order. By default each of them ends a process at once, without a line."""

DUMP = (signal.SIGQUIT, signal.SIGUSR1)
"""Write the stacks of all threads to stderr, as a JVM does. Without variables."""

IGNORED = (signal.SIGUSR2,)


Handler = Callable[[signal.Signals], None]


def listen(
    stop: asyncio.Event,
    *,
    on_dump: Handler | None = None,
    on_stop: Handler | None = None,
    on_reload: Handler | None = None,
) -> None:
    """Let the running event loop set ``stop`` for ``STOP`` and write stacks for ``DUMP``.

    ``on_dump`` and ``on_stop`` are called with each signal of their kind, after the log line. With
    ``on_reload`` SIGHUP calls that, and stops nothing. Else SIGHUP stays ignored where whoever started the
    process (``nohup``) had it ignored.
    """
    from worker import telemetry  # late: ``end_before_work`` must be called before this is loaded

    loop = asyncio.get_running_loop()

    def receive(number: signal.Signals, action: str, then: Handler | None) -> None:
        if action == "stop":
            stop.set()
        telemetry.emit(telemetry.SignalReceived(signal=number.name, action=action))
        if then is not None:
            then(number)

    for numbers, action, then in (
        (STOP, "stop", on_stop),
        (DUMP, "dump", on_dump),
        (IGNORED, "ignored", None),
    ):
        for number in numbers:
            if number is not signal.SIGHUP or not _is_ignored(number):
                loop.add_signal_handler(number, receive, number, action, then)
    if on_reload is not None:
        loop.add_signal_handler(signal.SIGHUP, receive, signal.SIGHUP, "reload", on_reload)
    for number in DUMP:
        # C code writes the stacks, so that it works also where the event loop is blocked.
        faulthandler.register(number, all_threads=True, chain=True)


def end_before_work() -> None:
    """Until a command listens: exit with code 0 at the signals of ``STOP``, and ignore the others.

    Process 1 of a container has no default handlers.
    """

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(0)

    for number in STOP:
        if number is not signal.SIGHUP or not _is_ignored(number):
            signal.signal(number, end)
    for number in (*DUMP, *IGNORED):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Every signal raises KeyboardInterrupt in the block, so that it cleans up before the command ends.

    For commands that end by themselves. asyncio's own handler would wait for the next await, and a replay
    hardly ever awaits.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    wanted = [*STOP, *DUMP, *IGNORED]
    if _is_ignored(signal.SIGHUP):
        wanted.remove(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
