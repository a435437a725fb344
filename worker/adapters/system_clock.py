"""The machine's clock, asyncio's sleep, and turns for tasks that compute.

Invariant: of all tasks that yield (``sleep(0)``) one goes on in each round of the event loop, in order.
Otherwise sixty tasks with work would all compute in the same round, and heartbeats would wait for all.
"""

import asyncio
import time
from collections import deque


class SystemClock:
    """Implements ``ports.Clock``. One for all tasks of a process."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    def monotonic(self) -> float:
        """Seconds since some instant; never goes back."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Ms since the epoch, as this machine believes."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Let others run for at least that long; 0 waits for one's turn."""
        if seconds > 0:
            await asyncio.sleep(seconds)
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            loop.call_soon(self._next)
        await turn

    def _next(self) -> None:
        """Let the first task go on now, and the next one in the following round."""
        turn = self._waiting[0]
        if not turn.done():
            turn.set_result(None)
        self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
