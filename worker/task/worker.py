"""Runs the tasks of the partitions that are assigned to this process.

Decides from each assignment which tasks end, which stay and which begin; knows no Kafka and no RocksDB.
Invariants: at most one task a partition at a time; a task that stays is not touched; the first task or loop
that fails ends the worker with its reason.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from worker import telemetry
from worker.ports import Clock, Group
from worker.task.commit_policy import MemoryBudget
from worker.task.partition_task import PartitionTask, TaskState
from worker.task.session_share import SessionShare
from worker.task.status import Progress, TaskStatistics, Totals, percentile, unknown_by_reason

_STOP_S = 6.0


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
        self._began = clock.monotonic()
        self._ended = TaskStatistics()  # of tasks that have ended since the last report
        self._totals = Totals()
        self._session_share = SessionShare()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set, then commit what is drafted. Raises whatever ended a task."""
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
                    self._remove(ended)
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
        """By partition how far its task has come, and whether it has work."""
        return {partition: task.progress for partition, task in self._tasks.items()}

    def _follow_assignment(self) -> None:
        """Abandon tasks that are not assigned any more; begin new ones, once a former task here has ended."""
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

    def _remove(self, ended: "asyncio.Task[None]") -> None:
        partition = self._running.pop(ended)
        self._ended.merge(self._tasks.pop(partition).take_statistics())
        self._group.release(partition)
        ended.result()
        telemetry.emit(telemetry.PartitionRevoked(partition=partition))

    async def _stop(self) -> None:
        """Let every task commit its draft. What takes too long is left to the next owner, who fences it."""
        for task in self._tasks.values():
            task.stop()
        if self._running:
            await asyncio.wait(self._running, timeout=_STOP_S)
        for ended in [task for task in self._running if task.done()]:
            self._remove(ended)

    async def _report(self) -> None:
        while True:
            started = self._clock.monotonic()
            await self._clock.sleep(self._status_interval_s)
            for event in self._status(self._clock.monotonic() - started):
                telemetry.emit(event)

    def _status(self, seconds: float) -> list[telemetry.LogEvent]:
        """The log events of the last ``seconds``; sets the tasks' counters back to zero."""
        tasks = list(self._tasks.values())
        done, self._ended = self._ended, TaskStatistics()
        for task in tasks:
            done.merge(task.take_statistics())
        self._totals.add(done)
        watermarks = [task.watermark_ms for task in tasks if task.watermark_ms]
        states = Counter(task.state for task in tasks)
        lags = {str(task.partition): task.lag for task in tasks}
        events: list[telemetry.LogEvent] = [
            telemetry.WorkerStatus(
                uptime_s=round(self._clock.monotonic() - self._began, 1),
                events_per_s=round(done.events / seconds, 1),
                records_per_s=round(done.records / seconds, 1),
                events_repartitioned=done.events_repartitioned,
                transactions=done.transactions,
                transactions_lost=done.transactions_lost,
                lag={partition: lag.records for partition, lag in lags.items()},
                lag_unknown=unknown_by_reason(lags),
                in_open_transactions={
                    partition: lag.in_open_transactions
                    for partition, lag in lags.items()
                    if lag.in_open_transactions
                },
                partitions_running=states[TaskState.RUNNING],
                partitions_restoring=states[TaskState.RESTORING],
                watermark_age_s=round(self._clock.wall_ms() / 1000 - min(watermarks) / 1000, 1)
                if watermarks
                else None,
                commit_p50_ms=percentile(done.commit_ms, 0.5),
                commit_p99_ms=percentile(done.commit_ms, 0.99),
                latency_p50_ms=percentile(done.delay_ms, 0.5),
                latency_p99_ms=percentile(done.delay_ms, 0.99),
                sessions_opened=done.sessions_opened,
                sessions_closed=done.sessions_closed,
                events_without_session=done.events_without_session,
                devices_linked=done.devices_linked,
                duplicates_flagged=done.duplicates_flagged,
                duplicates_dropped=done.duplicates_dropped,
                dead_letters=dict(done.dead_letters),
                events_total=self._totals.events,
                records_total=self._totals.records,
                transactions_total=self._totals.transactions,
                transactions_lost_total=self._totals.transactions_lost,
                dead_letters_total=self._totals.dead_letters,
                duplicates_flagged_total=self._totals.duplicates_flagged,
                duplicates_dropped_total=self._totals.duplicates_dropped,
                rss_mb=round(self._resident_mb(), 1),
            )
        ]
        if done.last_dead_letter is not None:
            events.append(
                telemetry.DeadLettersWritten(
                    by_reason=dict(done.dead_letters), last_position=done.last_dead_letter
                )
            )
        found = self._session_share.add(
            done.enriched, done.events_without_session, done.types_without_session
        )
        if found is not None:
            events.append(found)
        return events


async def _end(tasks: "list[asyncio.Task[Any]]") -> None:
    """Cancel and await; none of them may outlive the worker."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
