"""Runs the tasks of the partitions that are ours, and nothing else.

Decides from each new assignment which tasks end, which stay and which begin; knows no Kafka and no RocksDB.
Invariants: at most one task a partition at a time; a task that stays is not touched; the first task or loop
that fails ends the worker with its reason. The only endless loop of the program that is not a task's own.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from worker import telemetry
from worker.ports import Clock
from worker.task.life_cycle import TaskState
from worker.task.memory_budget import MemoryBudget
from worker.task.partition_task import PartitionTask
from worker.task.progress import Progress

_STOP_S = 6.0


class Group(Protocol):
    """The worker's membership in its consumer group."""

    async def changed(self) -> frozenset[int]:
        """Wait for the next assignment; the partitions that are ours from then on."""
        ...

    async def pump(self) -> None:
        """Fetch for the tasks' sources until closed."""
        ...

    def release(self, partition: int) -> None:
        """The partition's task has ended: fetch no more for it."""
        ...


class Worker:
    """The tasks of one process."""

    def __init__(
        self,
        *,
        group: Group,
        make_task: Callable[[int], PartitionTask],
        clock: Clock,
        memory: MemoryBudget,
        status_interval_s: float,
        resident_mb: Callable[[], float],
    ) -> None:
        self._group = group
        self._make_task = make_task
        self._clock = clock
        self._memory = memory
        self._status_interval_s = status_interval_s
        self._resident_mb = resident_mb
        self._tasks: dict[int, PartitionTask] = {}
        self._running: dict[asyncio.Task[None], int] = {}
        self._assigned: frozenset[int] = frozenset()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then finish what is drafted. Raises whatever ended a task."""
        spawn = asyncio.get_running_loop().create_task
        pump = spawn(self._group.pump())
        stopping = spawn(stop.wait())
        status = spawn(self._report())
        changed: asyncio.Task[frozenset[int]] = spawn(self._group.changed())
        own: set[asyncio.Task[Any]] = {pump, stopping, status}
        try:
            while not stopping.done():
                await asyncio.wait({*own, changed, *self._running}, return_when=asyncio.FIRST_COMPLETED)
                for ended in [task for task in self._running if task.done()]:
                    self._forget(ended)
                for loop in (pump, status):
                    if loop.done():
                        loop.result()
                if changed.done():
                    self._assigned = changed.result()
                    if not self._assigned:
                        telemetry.emit(telemetry.WorkerIdle())
                    changed = spawn(self._group.changed())
                self._follow_assignment()
            await self._stop()
        finally:
            await _end([*own, changed, *self._running])

    def progress(self) -> dict[int, Progress]:
        """What each partition's task has done so far."""
        return {partition: task.progress for partition, task in self._tasks.items()}

    def _follow_assignment(self) -> None:
        """Abandon what is not ours any more; begin what is new, once its former task here has ended."""
        for partition, task in self._tasks.items():
            if partition not in self._assigned:
                task.abandon()
        for partition in sorted(self._assigned - self._tasks.keys()):
            telemetry.emit(telemetry.PartitionAssigned(partition=partition))
            self._begin(partition)
        self._memory.share_between(len(self._tasks))

    def _begin(self, partition: int) -> None:
        task = self._tasks[partition] = self._make_task(partition)
        coroutine: Coroutine[Any, Any, None] = task.run()
        self._running[asyncio.get_running_loop().create_task(coroutine, name=f"partition {partition}")] = (
            partition
        )

    def _forget(self, ended: "asyncio.Task[None]") -> None:
        partition = self._running.pop(ended)
        del self._tasks[partition]
        self._group.release(partition)
        ended.result()
        telemetry.emit(telemetry.PartitionReleased(partition=partition))

    async def _stop(self) -> None:
        """Let every task finish its draft; what takes too long is left to its next owner, who fences it."""
        for task in self._tasks.values():
            task.stop()
        if self._running:
            await asyncio.wait(self._running, timeout=_STOP_S)
        for ended in [task for task in self._running if task.done()]:
            self._forget(ended)

    async def _report(self) -> None:
        while True:
            started = self._clock.monotonic()
            await self._clock.sleep(self._status_interval_s)
            for event in self._status(self._clock.monotonic() - started):
                telemetry.emit(event)

    def _status(self, seconds: float) -> list[telemetry.LogEvent]:
        """What the tasks did in the last ``seconds``; takes their counters back to zero."""
        tasks = list(self._tasks.values())
        taken = [task.take_statistics() for task in tasks]
        commits = sorted(second for statistics in taken for second in statistics.commit_seconds)
        rejections: Counter[str] = sum((statistics.rejections for statistics in taken), Counter())
        watermarks = [task.watermark_ms for task in tasks if task.watermark_ms]
        states = Counter(task.state for task in tasks)
        events: list[telemetry.LogEvent] = [
            telemetry.WorkerStatus(
                events_per_s=round(sum(statistics.events for statistics in taken) / seconds, 1),
                records_per_s=round(sum(statistics.records for statistics in taken) / seconds, 1),
                events_rekeyed=sum(statistics.events_rekeyed for statistics in taken),
                transactions=sum(statistics.transactions for statistics in taken),
                transactions_lost=sum(statistics.transactions_lost for statistics in taken),
                lag={str(task.partition): task.lag for task in tasks},
                partitions_running=states[TaskState.RUNNING],
                partitions_restoring=states[TaskState.RESTORING],
                watermark_age_s=round(self._clock.wall_ms() / 1000 - min(watermarks) / 1000, 1)
                if watermarks
                else None,
                commit_p50_ms=_percentile_ms(commits, 0.5),
                commit_p99_ms=_percentile_ms(commits, 0.99),
                sessions_opened=sum(statistics.sessions_opened for statistics in taken),
                sessions_closed=sum(statistics.sessions_closed for statistics in taken),
                devices_linked=sum(statistics.devices_linked for statistics in taken),
                dead_letters=dict(rejections),
                rss_mb=round(self._resident_mb(), 1),
            )
        ]
        if rejections:
            last = next(s.last_rejection for s in reversed(taken) if s.last_rejection is not None)
            events.append(telemetry.EventsRejected(by_reason=dict(rejections), last=last))
        return events


def _percentile_ms(ordered_seconds: list[float], share: float) -> float | None:
    if not ordered_seconds:
        return None
    return round(ordered_seconds[min(len(ordered_seconds) - 1, int(len(ordered_seconds) * share))] * 1000, 1)


async def _end(tasks: "list[asyncio.Task[Any]]") -> None:
    """Cancel and collect; nothing of them may outlive the worker."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
