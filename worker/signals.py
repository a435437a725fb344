"""What the signals of the system do to a running command.

Decides which of them ask for the end in order, which ask for the stacks, and which mean nothing; not how the
end goes. The invariant: no signal that a process can hear ends it without a line in its log. It knows no
event, topic or process but its own.
"""

import asyncio
import faulthandler
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,  # a terminal that closes; also how daemons are asked to read their configuration again
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGXCPU,
)
"""Ask for the end in order. Each of them would end a process at once, without a word."""

DUMP = (signal.SIGQUIT, signal.SIGUSR1)
"""Ask for the stacks of all threads on standard error, as of a JVM; no variables."""

IGNORED = (signal.SIGUSR2,)


def listen(stop: asyncio.Event, *, dumped: Callable[[signal.Signals], None] | None = None) -> None:
    """Let the running event loop set ``stop`` for ``STOP`` and write stacks for ``DUMP``.

    ``dumped``: is told of each signal of ``DUMP`` besides, to hand it on. SIGHUP stays ignored where whoever
    started the process (``nohup``) had it ignored.
    """
    from worker import telemetry  # late: before it is loaded, ``end_before_work`` must have been called

    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        stop.set()
        telemetry.emit(telemetry.SignalReceived(signal=number.name, action="stop"))

    def dump(number: signal.Signals) -> None:
        telemetry.emit(telemetry.SignalReceived(signal=number.name, action="dump"))
        if dumped is not None:
            dumped(number)

    def ignore(number: signal.Signals) -> None:
        telemetry.emit(telemetry.SignalReceived(signal=number.name, action="ignored"))

    for numbers, handle in ((STOP, end), (DUMP, dump), (IGNORED, ignore)):
        for number in numbers:
            if number is not signal.SIGHUP or not _is_ignored(number):
                loop.add_signal_handler(number, handle, number)
    for number in DUMP:
        # The stacks are written by C code, also where the event loop stands still.
        faulthandler.register(number, all_threads=True, chain=True)


def end_before_work(end: Callable[..., object]) -> None:
    """Until a command listens: ``end`` is called for the signals that ask for the end, others do nothing."""
    for number in STOP:
        if number is not signal.SIGHUP or not _is_ignored(number):
            signal.signal(number, end)
    for number in (*DUMP, *IGNORED):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Every signal raises KeyboardInterrupt where the command is, so that it cleans up before it ends.

    For commands that end by themselves. asyncio's own handling would wait for the next await, and a replay
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
