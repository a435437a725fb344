"""Which partitions of a process may start at the same time: some, and the others when those run.

A start fences, restores and commits: five hundred of them at once take each other's time until none is within
its own, and hold memory for all at once. Decides whose turn it is; knows nothing of what a start does.
Invariants: at most ``places`` starts are under way that moved on within ``patience_s`` (one that waits for
brokers that are away holds up nobody for longer); whoever is asked to stop does not wait.
"""

import asyncio
from collections.abc import Callable

from worker.ports import Clock

_PLACES = 16
_PATIENCE_S = 5.0


class Starts:
    """The turns of one process's tasks."""

    def __init__(self, clock: Clock, places: int = _PLACES, patience_s: float = _PATIENCE_S) -> None:
        self._clock = clock
        self._places = places
        self._patience_s = patience_s
        self._moved_at_s: dict[int, float] = {}
        self._queue: dict[int, asyncio.Future[None]] = {}

    async def enter(self, partition: int, stopping: Callable[[], bool]) -> None:
        """Wait for a turn; returns without one where ``stopping`` says so, which ``wake`` makes it ask."""
        while not stopping() and self.under_way >= self._places:
            turn = self._queue[partition] = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(self._patience_s):
                    await turn
            except TimeoutError:
                pass  # a start that got nowhere may have given up its place meanwhile
            finally:
                self._queue.pop(partition, None)
        self._moved_at_s[partition] = self._clock.monotonic()

    def moved_on(self, partition: int) -> None:
        """The start has done a piece of its work."""
        if partition in self._moved_at_s:
            self._moved_at_s[partition] = self._clock.monotonic()

    def leave(self, partition: int) -> None:
        """The start is over, however it ended: the next one's turn."""
        self._moved_at_s.pop(partition, None)
        if self._queue:
            self.wake(next(iter(self._queue)))

    def wake(self, partition: int) -> None:
        """Let a waiting partition look again whether it is to stop, or has a turn."""
        turn = self._queue.pop(partition, None)
        if turn is not None and not turn.done():
            turn.set_result(None)

    @property
    def under_way(self) -> int:
        """How many starts take up a place."""
        now_s = self._clock.monotonic()
        return sum([now_s - moved_s < self._patience_s for moved_s in self._moved_at_s.values()])
