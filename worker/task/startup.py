"""The start of a task: wait for a place, fence, restore, check; then it is known where to go on.

Decides whose turn it is to start, and what the first meta record of a run is. Knows ports; it writes no
outputs. Invariants: nothing is read before the producer is fenced, so nobody else writes meanwhile; at most
``places`` starts of a process run that made progress within ``patience_s`` (a start that waits for brokers
that are away blocks nobody for longer); a task that is asked to stop does not wait.
"""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from worker import telemetry
from worker.errors import Fatal
from worker.model.state import Meta
from worker.ports import Clock, TaskPorts
from worker.task.layout import Layout
from worker.task.offset_checks import checked_meta, initial_meta, reject_if_fenced
from worker.task.restore import Restored, restore

_PLACES = 16
_PATIENCE_S = 5.0


class Start(Struct, frozen=True):
    """Where a task goes on: at ``meta``, which it first commits where ``is_changed``; then ``event`` is
    logged.
    """

    meta: Meta
    is_changed: bool
    event: telemetry.LogEvent


class Startup:
    """The start of one task."""

    def __init__(
        self, partition: int, layout: Layout, ports: TaskPorts, queue: "StartQueue", max_store_age_s: float
    ) -> None:
        """``max_store_age_s``: a store that was not written for longer is restored whole."""
        self._partition = partition
        self._layout = layout
        self._ports = ports
        self._queue = queue
        self._max_store_age_s = max_store_age_s
        self._restored_to = -1

    async def run(self, stopping: Callable[[], bool]) -> Start | None:
        """Fence, restore and check. None where ``stopping`` became true meanwhile.

        Raises Fatal where the changelog does not fit these inputs, and all that the ports raise.
        """
        ports = self._ports
        await ports.store.open()
        await ports.transaction.fence()
        restored = await restore(
            self._partition,
            ports.changelog,
            ports.store,
            ports.clock,
            self._max_store_age_s,
            lambda: self._stops(stopping),
        )
        if stopping():
            return None
        try:
            return await self._start_from(restored)
        except Fatal:
            await reject_if_fenced(ports.changelog, restored.end)
            raise

    def _stops(self, stopping: Callable[[], bool]) -> bool:
        """Asked before each piece of a restore: keeps the place in the queue while the store grows."""
        checkpoint = self._ports.store.checkpoint()
        offset = -1 if checkpoint is None else checkpoint.changelog_offset
        if offset != self._restored_to:
            self._restored_to = offset
            self._queue.progressed(self._partition)
        return stopping()

    async def _start_from(self, restored: Restored) -> Start:
        if restored.meta is None:
            # Committed before anything else, so the first offsets are chosen once.
            meta = await initial_meta(self._partition, self._layout, self._ports)
            event = telemetry.PartitionInitialized(partition=self._partition, next_offsets=meta.next_offsets)
            return Start(meta, is_changed=True, event=event)
        meta = await checked_meta(self._partition, restored.meta, self._layout, self._ports)
        changed = meta.next_offsets != restored.meta.next_offsets
        return Start(meta, is_changed=changed, event=restored.log_event(self._partition))


class StartQueue:
    """Limits how many tasks of a process start at the same time; the others wait.

    A start fences, restores and commits. If five hundred of them ran at once, none would finish within its
    timeouts, and all would hold memory.
    """

    def __init__(self, clock: Clock, places: int = _PLACES, patience_s: float = _PATIENCE_S) -> None:
        self._clock = clock
        self._places = places
        self._patience_s = patience_s
        self._progressed_at_s: dict[int, float] = {}
        self._queue: dict[int, asyncio.Future[None]] = {}

    async def enter(self, partition: int, stopping: Callable[[], bool]) -> None:
        """Wait for a place. Returns early where ``stopping`` is true; ``wake`` makes it look again."""
        while not stopping() and self.running >= self._places:
            turn = self._queue[partition] = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(self._patience_s):
                    await turn
            except TimeoutError:
                pass  # a start without progress may have lost its place meanwhile
            finally:
                self._queue.pop(partition, None)
        self._progressed_at_s[partition] = self._clock.monotonic()

    def progressed(self, partition: int) -> None:
        """The start has done a piece of its work, so it keeps its place."""
        if partition in self._progressed_at_s:
            self._progressed_at_s[partition] = self._clock.monotonic()

    def leave(self, partition: int) -> None:
        """The start has ended, with success or not: the next one gets its place."""
        self._progressed_at_s.pop(partition, None)
        if self._queue:
            self.wake(next(iter(self._queue)))

    def wake(self, partition: int) -> None:
        """Let a waiting partition look again whether it has to stop, or has a place."""
        turn = self._queue.pop(partition, None)
        if turn is not None and not turn.done():
            turn.set_result(None)

    @property
    def running(self) -> int:
        """How many starts hold a place."""
        now_s = self._clock.monotonic()
        return sum([now_s - at_s < self._patience_s for at_s in self._progressed_at_s.values()])
