"""One worker process, from its start to its exit code: directory, group, signals, health and the log.

Decides how the process starts, shows its health and ends. Knows nothing of events, nor how a worker is put
together, which is ``assembly``. The invariant: every end with exit code 1 has its reason in the log, an
unexpected exception of the worker or of what runs beside it too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from worker import __version__, log_output, signals, telemetry
from worker.adapters.kafka import topics as kafka_topics
from worker.adapters.kafka.topic_rules import names_to_know, timed_by_brokers
from worker.adapters.state_directory import StateDirectory
from worker.assembly import MAX_STORE_AGE_S, FoundTopics, assembled, layout_of
from worker.config import Config
from worker.errors import BrokersAway, Fatal, LoginRefused
from worker.health import BEAT_S, HealthFile
from worker.lifecycle import exit_code, in_background
from worker.native.parts import native_parts
from worker.preflight import check_machine, warn_of_options
from worker.process_limits import collect_garbage_seldom, keep_files_private, raise_file_limit
from worker.task.status import Standstill
from worker.task.worker import Worker
from worker.watchdog import watch

_STANDSTILL_S = 60.0
_MAX_STUCK_LOGGED = 8
"""Partitions logged as stuck at a time: with brokers away all of them are."""
_REMOVE_STORES_S = 3_600.0
_BROKERS_AWAY_S = 60.0
_ASK_AGAIN_S = 3.0


AskTopics = Callable[[], Awaitable[FoundTopics | None]]
"""Asks the brokers which topics there are. None: asked to stop meanwhile."""


async def run_worker(config: Config, stop: asyncio.Event, ask: AskTopics | None = None) -> None:
    """Run one worker until ``stop`` is set. Raises Fatal when only a human can help.

    What is wrong on this machine is reported before a broker is asked. ``ask``: asks for the topics; by
    default it asks once, and without checking them.
    """
    check_machine(config)
    native = native_parts(config.engine.implementation)
    started = time.monotonic()
    directory = StateDirectory(config.state.directory, config.kafka.group_id)
    directory.lock()
    try:
        instance_id = directory.instance_id(config.kafka.group_instance_id, config.kafka.group_id)
        found = await (ask or _names_of(config))()
        if found is None:
            return
        group, worker = assembled(config, layout_of(config, found), directory, instance_id, native)
        telemetry.emit(
            telemetry.WorkerStarted(
                version=__version__,
                group_id=config.kafka.group_id,
                group_instance_id=instance_id,
                raw_topic=config.topics.raw,
                state_directory=str(directory.path),
                native=native.library is not None,
            )
        )
        await group.start()
        file = None if config.health_file is None else HealthFile(config.health_file)
        async with in_background(stop, watch(), _remove_old_stores(directory, worker)):
            try:
                async with in_background(stop, _report_health(worker, file)):
                    await worker.run(stop)
            finally:
                if file is not None:
                    file.remove()
                await group.close()
    finally:
        directory.unlock()
    telemetry.emit(telemetry.WorkerStopped(uptime_s=round(time.monotonic() - started, 1)))


def _names_of(config: Config) -> AskTopics:
    """Asks for the numbers of partitions alone: the demo's embedded broker knows no settings of topics."""

    async def ask() -> FoundTopics:
        return FoundTopics(await kafka_topics.partition_counts(config.kafka, names_to_know(config)))

    return ask


async def _remove_old_stores(directory: StateDirectory, worker: Worker) -> None:
    """Remove stores of partitions that went to other workers and did not come back. Until cancelled."""
    while True:
        removed: dict[int, float] = {}
        with suppress(OSError):  # the directory cannot be listed: it is tried again in an hour
            removed = directory.remove_old(worker.progress(), MAX_STORE_AGE_S)
        for partition, age_s in removed.items():
            telemetry.emit(telemetry.StateRemoved(partition=partition, unused_days=round(age_s / 86_400, 1)))
        await asyncio.sleep(_REMOVE_STORES_S)


async def _report_health(worker: Worker, file: HealthFile | None) -> None:
    """Touch the health file while no partition is stuck, and log those that are. Until cancelled."""
    standstill = Standstill(_STANDSTILL_S)
    logged: set[int] = set()
    while True:
        stuck = standstill.partitions(worker.progress(), time.monotonic())
        for partition in sorted(stuck.keys() - logged)[:_MAX_STUCK_LOGGED]:
            telemetry.emit(
                telemetry.PartitionStuck(
                    partition=partition, stuck_s=round(stuck[partition], 1), partitions_stuck=len(stuck)
                )
            )
        logged = set(stuck)
        if file is not None and not stuck:
            with suppress(OSError):  # a file that cannot be touched grows old, and the probe sees that
                file.touch()
        await asyncio.sleep(BEAT_S)


async def _checked_topics_in_time(config: Config, stop: asyncio.Event) -> FoundTopics | None:
    """The topics, checked. Waits a minute for brokers that do not answer: they may be starting too.

    None where ``stop`` was set meanwhile.
    """
    deadline = time.monotonic() + _BROKERS_AWAY_S
    while not stop.is_set():
        try:
            return await _checked_topics(config)
        except LoginRefused:
            pass  # it was logged; the login counts its attempts and ends the worker
        except BrokersAway as away:
            if time.monotonic() > deadline:
                raise
            telemetry.emit(telemetry.RequestFailed(reason=str(away)))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _ASK_AGAIN_S)
    return None


async def _checked_topics(config: Config) -> FoundTopics:
    """The topics, checked once. Raises Fatal where exactly-once cannot be kept with them; logs all else."""
    topics, problems = await kafka_topics.check(config)
    fatal = [str(problem) for problem in problems if problem.fatal]
    if fatal:
        raise Fatal("; ".join(fatal))
    for problem in problems:
        telemetry.emit(telemetry.TopicWarning(problem=str(problem)))
    return FoundTopics(
        {name: topic.partitions for name, topic in topics.items()},
        frozenset(name for name, topic in topics.items() if timed_by_brokers(topic)),
    )


def run(config: Config, slot: int | None = None) -> int:
    """Run one worker in this process until it is asked to stop; returns the exit code.

    ``slot`` is its number among the processes of one supervisor.
    """
    log_output.configure(
        log_output.format_here(config.log.format),
        config.log.level,
        instance=log_output.instance_here(config.log.instance),
        slot=slot,
    )
    raise_file_limit()
    keep_files_private()
    if slot is None:  # else the supervisor has warned for all processes
        warn_of_options(config)
    collect_garbage_seldom()

    async def until_signalled() -> int:
        stop = asyncio.Event()
        signals.listen(stop)
        await run_worker(config, stop, lambda: _checked_topics_in_time(config, stop))
        return 0

    return exit_code(until_signalled)
