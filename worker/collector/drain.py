"""How a collector ends: who asks for it, how long requests are still served, how long it may take in all.

Decides when each step is due; must not know what is served, nor how. The invariant: from the first signal on
every wait here has an end.
"""

import asyncio
import signal
from contextlib import suppress

_EXIT_S = 5.0


def finish_s(read_s: float, ack_timeout_ms: int) -> float:
    """How long after the delay the last answer may take: its body is half read, then waits for Kafka.

    ``read_s`` is the deadline of a body.
    """
    return read_s + ack_timeout_ms / 1000


def stop_s(delay_s: float, read_s: float, ack_timeout_ms: int) -> float:
    """Within this a process ends after SIGTERM, closing its connections to brokers included."""
    return delay_s + finish_s(read_s, ack_timeout_ms) + _EXIT_S


class Drain:
    """What asks the process to end. ``asked`` is set by the first signal that stops, or by a failure."""

    def __init__(self, delay_s: float) -> None:
        self.asked = asyncio.Event()
        self._hurried = asyncio.Event()
        self._delay_s = delay_s
        self._signals = 0

    def note(self, number: signal.Signals) -> None:
        """A signal that stops has come. SIGINT, and any second signal, ends the delay."""
        self._signals += 1
        self.asked.set()
        if number is signal.SIGINT or self._signals > 1:
            self._hurried.set()

    @property
    def delay_s(self) -> float:
        """For how long new requests are still served. Not at all where no signal came: the start failed."""
        return self._delay_s if self._signals and not self._hurried.is_set() else 0.0

    async def delay(self) -> None:
        """Wait until no new requests are to be served."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurried.wait(), self.delay_s)
