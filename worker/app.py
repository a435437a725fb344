"""One worker process, from its start to its exit code: directory, group, signals, health and the log.

Decides how the process lives and ends; nothing about events, and nothing about how a worker is put together,
which is ``assembly``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from worker import __version__, log_output, signals, telemetry
from worker.adapters.kafka import topics as kafka_topics
from worker.adapters.kafka.topic_rules import names_to_know, timed_by_brokers
from worker.adapters.state_directory import StateDirectory
from worker.assembly import MAX_STORE_AGE_S, FoundTopics, assembled, layout_of
from worker.config import Config
from worker.errors import BrokersAway, Fatal, LoginRefused
from worker.health import BEAT_S, HealthFile
from worker.preflight import check_machine, warn_of_options
from worker.process_limits import collect_garbage_seldom, keep_files_private, raise_file_limit
from worker.task.progress import Standstill
from worker.task.worker import Worker
from worker.watchdog import watch

_STANDSTILL_S = 60.0
_MOST_LOGGED = 8
"""Partitions that stand still at once: with brokers away it is all of them."""
_TIDY_S = 3_600.0
_BROKERS_AWAY_S = 60.0
_ASK_AGAIN_S = 3.0


AskTopics = Callable[[], Awaitable[FoundTopics | None]]
"""Asks the brokers which topics there are. None: told to stop meanwhile."""


async def run_worker(config: Config, stop: asyncio.Event, ask: AskTopics | None = None) -> None:
    """Run one worker until ``stop`` is set. Raises Fatal when only a human can help.

    What is wrong on this machine is found before ``ask``, or without it a plain question, goes to a broker.
    """
    check_machine(config)
    started = time.monotonic()
    directory = StateDirectory(config.state.directory, config.kafka.group_id)
    directory.lock()
    try:
        instance_id = directory.instance_id(config.kafka.group_instance_id, config.kafka.group_id)
        found = await (ask or _names_of(config))()
        if found is None:
            return
        group, worker = assembled(config, layout_of(config, found), directory, instance_id)
        telemetry.emit(
            telemetry.WorkerStarted(
                version=__version__,
                group_id=config.kafka.group_id,
                group_instance_id=instance_id,
                raw_topic=config.topics.raw,
                state_directory=str(directory.path),
            )
        )
        await group.start()
        beside = [
            asyncio.get_running_loop().create_task(coroutine)
            for coroutine in (watch(), _tidy(directory, worker))
        ]
        try:
            with _health_told(config, worker):
                await worker.run(stop)
        finally:
            await group.close()
            for task in beside:
                task.cancel()
    finally:
        directory.unlock()
    telemetry.emit(telemetry.WorkerStopped(uptime_s=round(time.monotonic() - started, 1)))


def _names_of(config: Config) -> AskTopics:
    """The plain question, of brokers that may know no more."""

    async def ask() -> FoundTopics:
        return FoundTopics(await kafka_topics.partition_counts(config.kafka, names_to_know(config)))

    return ask


async def _tidy(directory: StateDirectory, worker: Worker) -> None:
    """Remove stores of partitions that went elsewhere and did not come back. Until cancelled."""
    while True:
        for partition, age_s in directory.remove_old(worker.progress(), MAX_STORE_AGE_S).items():
            telemetry.emit(telemetry.StateRemoved(partition=partition, unused_days=round(age_s / 86_400, 1)))
        await asyncio.sleep(_TIDY_S)


@contextmanager
def _health_told(config: Config, worker: Worker) -> Iterator[None]:
    """Keep the health file, if one is wanted, and the log informed."""
    file = None if config.health_file is None else HealthFile(config.health_file)
    telling = asyncio.get_running_loop().create_task(_tell_health(worker, file))
    try:
        yield
    finally:
        telling.cancel()
        if file is not None:
            file.remove()


async def _tell_health(worker: Worker, file: HealthFile | None) -> None:
    """Touch the file for as long as the event loop turns and no partition stands still. Until cancelled."""
    standstill = Standstill(_STANDSTILL_S)
    told: set[int] = set()
    while True:
        stuck = standstill.partitions(worker.progress(), time.monotonic())
        for partition in sorted(stuck.keys() - told)[:_MOST_LOGGED]:
            telemetry.emit(
                telemetry.PartitionStuck(
                    partition=partition, stuck_s=round(stuck[partition], 1), partitions_stuck=len(stuck)
                )
            )
        told = set(stuck)
        if file is not None and not stuck:
            with suppress(OSError):  # a file that cannot be touched grows old, and so says what is the matter
                file.touch()
        await asyncio.sleep(BEAT_S)


async def _fit_topics_in_time(config: Config, stop: asyncio.Event) -> FoundTopics | None:
    """As ``_fit_topics``; waits a minute for brokers that are away, as while they start beside the worker.

    None where ``stop`` was set meanwhile.
    """
    deadline = time.monotonic() + _BROKERS_AWAY_S
    while not stop.is_set():
        try:
            return await _fit_topics(config)
        except LoginRefused:
            pass  # it was logged, and ends by its own number of tries
        except BrokersAway as away:
            if time.monotonic() > deadline:
                raise
            telemetry.emit(telemetry.RequestFailed(reason=str(away)))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _ASK_AGAIN_S)
    return None


async def _fit_topics(config: Config) -> FoundTopics:
    """The topics as they are.

    Raises Fatal for topics that the promises cannot be kept with; logs what is merely unwise.
    """
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
    """Run one worker in this process until it is told to stop; returns the exit code.

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
    if slot is None:  # else the supervisor has said it of the whole
        warn_of_options(config)
    collect_garbage_seldom()

    async def until_signalled() -> None:
        stop = asyncio.Event()
        signals.listen(stop)
        await run_worker(config, stop, lambda: _fit_topics_in_time(config, stop))

    try:
        asyncio.run(until_signalled())
    except Fatal as fatal:
        telemetry.emit(telemetry.WorkerFailed(reason=str(fatal)))
        return 1
    return 0
