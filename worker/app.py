"""The composition root: a configuration becomes adapters, tasks and a running worker.

The one place where tasks and adapters meet. Decides nothing about events.
"""

import asyncio
import resource
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from worker import __version__, log_output, telemetry
from worker.adapters import kafka_topics
from worker.adapters.kafka_changelog import KafkaChangelog
from worker.adapters.kafka_consumer import ConsumerGroup
from worker.adapters.kafka_security import client_options
from worker.adapters.kafka_transaction import KafkaTransaction
from worker.adapters.memory_store import MemoryStore
from worker.adapters.rocksdb_store import RocksDBMemory, RocksDBStore
from worker.adapters.state_directory import StateDirectory
from worker.adapters.system_clock import SystemClock
from worker.config import Config
from worker.core.decode import Decoder
from worker.core.partitioning import Partitioning
from worker.errors import Fatal
from worker.health import BEAT_S, HealthFile
from worker.ports import StateStore
from worker.task.commit_policy import CommitPolicy
from worker.task.intake import Intake
from worker.task.memory_budget import MemoryBudget
from worker.task.misrouting import Misrouting
from worker.task.partition_task import PartitionTask
from worker.task.progress import Standstill
from worker.task.topics import TaskTopics
from worker.task.worker import Worker
from worker.watchdog import watch

_FETCH_BYTES = 8 * 1024 * 1024
_RESTORE_FETCH_BYTES = 1024 * 1024
_DRAFTS_BYTES = 48 * 1024 * 1024
_STANDSTILL_S = 60.0
_MAX_STORE_AGE_S = 7 * 86_400 / 2  # half of the changelog's delete.retention.ms
_TIDY_S = 3_600.0


async def run_worker(
    config: Config, stop: asyncio.Event, on_started: Callable[[], None] | None = None
) -> None:
    """Run one worker until ``stop`` is set. Raises Fatal when only a human can help."""
    if not __debug__:
        raise Fatal("do not run under python -O: the assertions guard the protocol, the client library's too")
    started = time.monotonic()
    clock = SystemClock()
    directory = StateDirectory(config.state.directory, config.kafka.group_id)
    directory.lock()
    try:
        instance_id = directory.instance_id(config.kafka.group_instance_id, config.kafka.group_id)
        topics, partitioning = await _layout(config)

        def held() -> dict[int, int]:
            on_disk = directory.held() if config.state.store == "rocksdb" else {}
            return on_disk | {number: done.changelog_offset for number, done in worker.progress().items()}

        group = ConsumerGroup(
            client=client_options(config.kafka),
            topics=[config.topics.raw, *([topics.rekey] if topics.rekey else [])],
            group_id=config.kafka.group_id,
            group_instance_id=instance_id,
            session_timeout_ms=config.kafka.session_timeout_ms,
            heartbeat_interval_ms=config.kafka.heartbeat_interval_ms,
            start_from=config.kafka.start_from,
            fetch_bytes=_FETCH_BYTES,
            held=held,
            clock=clock,
        )
        telemetry.emit(
            telemetry.WorkerStarted(
                version=__version__,
                group_id=config.kafka.group_id,
                group_instance_id=instance_id,
                raw_topic=config.topics.raw,
                state_directory=str(directory.path),
            )
        )
        worker = _worker(config, topics, partitioning, group, directory, clock)
        await group.start()
        beside = [
            asyncio.get_running_loop().create_task(coroutine)
            for coroutine in (watch(), _tidy(directory, worker))
        ]
        try:
            if on_started is not None:
                on_started()
            with _health_told(config, worker):
                await worker.run(stop)
        finally:
            await group.close()
            for task in beside:
                task.cancel()
    finally:
        directory.unlock()
    telemetry.emit(telemetry.WorkerStopped(seconds=round(time.monotonic() - started, 1)))


async def _tidy(directory: StateDirectory, worker: Worker) -> None:
    """Remove stores of partitions that went elsewhere and did not come back. Until cancelled."""
    while True:
        for partition, age_s in directory.remove_old(worker.progress(), _MAX_STORE_AGE_S).items():
            telemetry.emit(telemetry.StateRemoved(partition=partition, days=round(age_s / 86_400, 1)))
        await asyncio.sleep(_TIDY_S)


@contextmanager
def _health_told(config: Config, worker: Worker) -> Iterator[None]:
    """Keep the health file, if one is wanted, and the log informed. Raises Fatal where it cannot be made."""
    file = HealthFile(Path(config.health.file)) if config.health.file else None
    try:
        if file is not None:
            file.touch()
    except OSError as error:
        raise Fatal(f"health.file: {config.health.file} cannot be written: {error.strerror}") from error
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
        for partition in stuck.keys() - told:
            telemetry.emit(telemetry.PartitionStuck(partition=partition, seconds=round(stuck[partition], 1)))
        told = set(stuck)
        if file is not None and not stuck:
            with suppress(OSError):  # a file that cannot be touched grows old, and so says what is the matter
                file.touch()
        await asyncio.sleep(BEAT_S)


async def _layout(config: Config) -> tuple[TaskTopics, Partitioning]:
    """The topics by role, and how devices are spread over them. Raises Fatal where the inputs do not fit.

    The re-key topic is read wherever it exists: what was sent on before ``input.rekey`` was turned off is not
    lost.
    """
    raw, rekey = config.topics.raw, config.rekey_topic
    partitions = await kafka_topics.partition_counts(config.kafka, [raw, rekey])
    if raw not in partitions:
        raise Fatal(f"{raw}: does not exist, or may not be seen. Remedy: sessionizer topics create")
    rekeys = config.input.rekey == "auto"
    if partitions.get(rekey, partitions[raw] if not rekeys else 0) != partitions[raw]:
        raise Fatal(
            f"{rekey}: does not exist, or has not the {partitions[raw]} partitions of {raw}. "
            "Remedy: sessionizer topics create"
        )
    topics = TaskTopics(
        raw=raw,
        rekey=rekey if rekey in partitions else "",
        enriched=config.topics.enriched,
        dead_letters=config.topics.dead_letters,
        sessions=config.topics.sessions,
        identities=config.topics.identities,
        changelog=config.changelog_topic,
    )
    return topics, Partitioning(
        partitions=partitions[raw], partitioner=config.input.partitioner, rekeys=rekeys
    )


def _worker(
    config: Config,
    topics: TaskTopics,
    partitioning: Partitioning,
    group: ConsumerGroup,
    directory: StateDirectory,
    clock: SystemClock,
) -> Worker:
    # Of the budget, half holds live states; a quarter each is RocksDB's cache and its write buffers.
    memory_bytes = config.state.memory_mb * 1024 * 1024
    memory = MemoryBudget(memory_bytes // 2, _DRAFTS_BYTES)
    rocksdb_memory = RocksDBMemory(memory_bytes // 2)
    rules = config.rules
    decoder = Decoder(rules.input, rules.identity)
    misrouting = Misrouting(partitioning)
    policy = CommitPolicy(interval_s=config.kafka.commit_interval_ms / 1000)
    client = client_options(config.kafka)

    def make_store(partition: int) -> StateStore:
        if config.state.store == "memory":
            return MemoryStore()
        return RocksDBStore(directory.partition(partition), rocksdb_memory)

    def make_task(partition: int) -> PartitionTask:
        if partition >= partitioning.partitions:
            raise Fatal(
                f"{topics.raw} has more than the {partitioning.partitions} partitions that it had when this "
                "worker started: devices belong to other partitions now, where their sessions are not. To "
                "grow, replay into a new group (docs/operations.md, More partitions)"
            )
        return PartitionTask(
            partition,
            topics=topics,
            rules=rules,
            partitioning=partitioning,
            intake=Intake(partition, topics, decoder, partitioning, misrouting),
            policy=policy,
            source=group.source(partition),
            transaction=KafkaTransaction(
                client=client,
                transactional_id=f"{config.kafka.group_id}/{partition}",
                group_id=config.kafka.group_id,
                partition=partition,
                compression=config.kafka.compression,
                transaction_timeout_ms=config.kafka.transaction_timeout_ms,
            ),
            changelog=KafkaChangelog(
                client=client, topic=topics.changelog, partition=partition, fetch_bytes=_RESTORE_FETCH_BYTES
            ),
            store=make_store(partition),
            clock=clock,
            memory=memory,
            new_incarnation=lambda: secrets.token_hex(8),
            max_store_age_s=_MAX_STORE_AGE_S,
        )

    return Worker(
        group=group,
        make_task=make_task,
        clock=clock,
        memory=memory,
        status_interval_s=config.log.stats_interval_s,
        resident_mb=_resident_mb,
    )


def _resident_mb() -> float:
    """Resident memory of this process, in MiB; the peak where /proc is not there."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _raise_file_limit() -> None:
    """Take as many open files as the system grants: a store may hold 70, and the usual limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _refuse_unfit_topics(config: Config) -> None:
    """Raise Fatal for topics that the promises cannot be kept with; log what is merely unwise."""
    _, problems = await kafka_topics.check(config)
    fatal = [str(problem) for problem in problems if problem.fatal]
    if fatal:
        raise Fatal("; ".join(fatal))
    for problem in problems:
        telemetry.emit(telemetry.TopicProblem(problem=str(problem)))


def run(config: Config, slot: int | None = None) -> int:
    """Run one worker in this process until SIGTERM or SIGINT; returns the exit code.

    ``slot`` is its number among the processes of one supervisor.
    """
    log_output.configure(log_output.format_here(config.log.format), config.log.level, slot=slot)
    _raise_file_limit()

    async def until_signalled() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await _refuse_unfit_topics(config)
        await run_worker(config, stop)

    try:
        asyncio.run(until_signalled())
    except Fatal as fatal:
        telemetry.emit(telemetry.WorkerFailed(reason=str(fatal)))
        return 1
    return 0
