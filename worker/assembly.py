"""The composition root: makes adapters, tasks and a worker that is ready to run from a configuration.

The one place where tasks and adapters meet. Decides what exists once a process and what once a partition. It
must not know events, nor how the process starts and ends, which is ``app``. Invariant: nothing here waits or
connects.
"""

import secrets
from collections.abc import Callable, Mapping

from msgspec import Struct

from worker.adapters.kafka.changelog import KafkaChangelog
from worker.adapters.kafka.consumer import ConsumerGroup
from worker.adapters.kafka.membership import GroupMember
from worker.adapters.kafka.native_records import use_native_records
from worker.adapters.kafka.poller import FetchLimits
from worker.adapters.kafka.security import client_options
from worker.adapters.kafka.source import InputTopics
from worker.adapters.kafka.transaction import KafkaTransaction, ProducerOptions
from worker.adapters.state_directory import StateDirectory
from worker.adapters.stores import Stores
from worker.adapters.system_clock import SystemClock
from worker.config import Config
from worker.core.decode import Decoder
from worker.core.partitioner import Partitioning
from worker.engine.readable import ReadableEngine
from worker.errors import Fatal, PartitionsAdded
from worker.model.topics import OUTPUTS
from worker.native.parts import NativeParts
from worker.ports import StateStore, TaskPorts
from worker.process_limits import resident_mb
from worker.task.commit_policy import CommitPolicy, MemoryBudget
from worker.task.layout import Layout, TaskTopics
from worker.task.partition_task import PartitionTask, ProcessServices, Topology
from worker.task.partitioner_check import PartitionerCheck
from worker.task.startup import StartQueue
from worker.task.wall_clock import WallClock
from worker.task.worker import Worker

MAX_STORE_AGE_S = 7 * 86_400 / 2  # half of the changelog's delete.retention.ms
_FETCH_BYTES = 8 * 1024 * 1024
_RESTORE_FETCH_BYTES = 1024 * 1024
_DRAFTS_BYTES = 48 * 1024 * 1024
_SLOW_S = 15.0


class FoundTopics(Struct, frozen=True):
    """The topics that exist, as the brokers report them.

    ``partitions``: topic -> its number of partitions. ``timed_by_brokers``: topics with ``LogAppendTime``.
    """

    partitions: Mapping[str, int]
    timed_by_brokers: frozenset[str] = frozenset()


def layout_of(config: Config, found: FoundTopics) -> Layout:
    """The layout for these topics. Raises Fatal where the inputs do not fit together.

    The repartition topic is read wherever it exists, so that nothing in it is lost when ``input.repartition``
    is turned off.
    """
    partitions = found.partitions
    raw, repartition = config.topics.raw, config.repartition_topic
    if raw not in partitions:
        raise Fatal(f"{raw}: does not exist, or may not be seen. Remedy: sessionizer topics create")
    repartitions = config.input.repartition == "auto"
    if partitions.get(repartition, partitions[raw] if not repartitions else 0) != partitions[raw]:
        raise Fatal(
            f"{repartition}: does not exist, or has not the {partitions[raw]} partitions of {raw}. "
            "Remedy: sessionizer topics create"
        )
    topics = TaskTopics(
        raw=raw,
        repartition=repartition if repartition in partitions else "",
        outputs={role: name for role, name in config.topic_names.items() if role in OUTPUTS},
        changelog=config.changelog_topic,
        group_id=config.kafka.group_id,
        timed_by_brokers=found.timed_by_brokers,
    )
    spread = Partitioning(
        partitions=partitions[raw], partitioner=config.input.partitioner, repartitions=repartitions
    )
    return Layout(topics, partitions, spread)


def assembled(
    config: Config,
    layout: Layout,
    directory: StateDirectory,
    group_instance_id: str | None,
    native: NativeParts,
) -> tuple[ConsumerGroup, Worker]:
    """A worker, and its consumer group, which is not joined yet."""
    clock = SystemClock()
    stores = Stores(config.state)

    def held() -> dict[int, int]:
        on_disk = stores.offsets_on_disk(directory)
        return on_disk | {number: done.changelog_offset for number, done in worker.progress().items()}

    group = ConsumerGroup(
        client=client_options(config.kafka),
        member=GroupMember(
            group_id=config.kafka.group_id,
            group_instance_id=group_instance_id,
            session_timeout_ms=config.kafka.session_timeout_ms,
            heartbeat_interval_ms=config.kafka.heartbeat_interval_ms,
        ),
        inputs=InputTopics(layout.topics.inputs, config.kafka.start_from),
        limits=FetchLimits(_FETCH_BYTES, config.input.max_value_bytes),
        held=held,
        clock=clock,
    )

    def make_store(partition: int) -> StateStore:
        return stores.of_partition(directory, partition)

    use_native_records(native)
    memory = MemoryBudget(stores.live_states_bytes, _DRAFTS_BYTES)
    make_ports = _port_maker(config, layout, group, clock, make_store, native)
    worker = _worker(config, layout, group, clock, memory, make_ports)
    return group, worker


def _port_maker(
    config: Config,
    layout: Layout,
    group: ConsumerGroup,
    clock: SystemClock,
    make_store: Callable[[int], StateStore],
    native: NativeParts,
) -> Callable[[int], TaskPorts]:
    client = client_options(config.kafka)

    def make_ports(partition: int) -> TaskPorts:
        return TaskPorts(
            source=group.source(partition),
            transaction=KafkaTransaction(
                client=client,
                transactional_id=f"{config.kafka.group_id}/{partition}",
                group_id=config.kafka.group_id,
                partition=partition,
                options=ProducerOptions(
                    compression=config.kafka.compression,
                    transaction_timeout_ms=config.kafka.transaction_timeout_ms,
                    native=native,
                ),
            ),
            changelog=KafkaChangelog(
                client=client,
                topic=layout.topics.changelog,
                partition=partition,
                fetch_bytes=_RESTORE_FETCH_BYTES,
            ),
            store=make_store(partition),
            clock=clock,
            new_incarnation=lambda: secrets.token_hex(8),
        )

    return make_ports


def _worker(
    config: Config,
    layout: Layout,
    group: ConsumerGroup,
    clock: SystemClock,
    memory: MemoryBudget,
    make_ports: Callable[[int], TaskPorts],
) -> Worker:
    rules = config.rules
    services = ProcessServices(
        memory,
        WallClock(clock, rules.session),
        StartQueue(clock),
        PartitionerCheck(layout.partitioning),
    )
    decoder = Decoder(rules.input, rules.identity)
    topology = Topology(layout, rules, lambda options: ReadableEngine(options, decoder))
    policy = CommitPolicy(
        interval_s=config.kafka.commit_interval_ms / 1000,
        # Half of the transaction's own deadline; and well within the minute after which a partition is stuck.
        slow_s=min(config.kafka.transaction_timeout_ms / 4000, _SLOW_S),
    )

    def make_task(partition: int) -> PartitionTask:
        partitions = layout.partitioning.partitions
        if partition >= partitions:
            raise PartitionsAdded(layout.topics.raw, partitions, "this worker started", "more")
        return PartitionTask(partition, topology, make_ports(partition), services, policy, MAX_STORE_AGE_S)

    return Worker(
        group=group,
        make_task=make_task,
        clock=clock,
        memory=memory,
        status_interval_s=config.log.stats_interval_s,
        resident_mb=resident_mb,
    )
