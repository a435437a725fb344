"""The consumer group: which partitions are ours, and one loop that fetches for all their sources.

One consumer for all tasks of the process. Decides for which partitions to fetch: those whose source has room.
So a slow partition holds up no other, and nothing needs pausing (paused flags do not survive a rebalance).
Knows aiokafka's public names; nothing of tasks. Invariants: after a rebalance a source goes on exactly where
it was, whatever the client's own position says; ``getmany`` is never cancelled (that would switch off the
client's eviction for good).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from worker import telemetry
from worker.adapters.kafka.answers import grants_of
from worker.adapters.kafka.assignor import StickyAssignor
from worker.adapters.kafka.client_internals.consumer import partition_state
from worker.adapters.kafka.client_internals.fetcher import ClientFetcher
from worker.adapters.kafka.login import login_in
from worker.adapters.kafka.membership import GroupMember, Membership
from worker.adapters.kafka.offsets import Offsets
from worker.adapters.kafka.poller import FETCH_WAIT_MS, Fetched, FetchLimits, Poller
from worker.adapters.kafka.records import UNREADABLE_TIMES, UnreadableError
from worker.adapters.kafka.source import FetchProgress, InputTopics, KafkaInput, KafkaSource
from worker.adapters.kafka.topic_watch import TopicWatch
from worker.errors import Fatal, TransactionLost
from worker.model.records import ListedRecords
from worker.ports import Clock

_BUFFERED_BYTES = 16 * 1024 * 1024
_REBALANCE_MS = 30_000
_RETRY_S = 1.0
_LEAVE_S = 2.0
_REPORTED_JUST_NOW_MS = 3_000
_REPORTED_LATELY_MS = 10_000
"""How long a partition's end counts as known after a fetch; an idle one is fetched twice a second."""
_REBALANCING = "the group is being rebalanced"
_CHECK_S = 0.5
_NEVER_IDLE_MS = 2**53
_TOPICS_LOOKED_AT_MS = 30_000
_FETCH_BYTES_A_PARTITION = 256 * 1024
_BYTES_A_RECORD = 250  # its objects, beside its value (2026-11-30)
_STALLED_S = 2.0


class ConsumerGroup(ConsumerRebalanceListener):  # type: ignore[misc]  # the client is untyped
    """Implements ``ports.Group`` and ``source.Fetcher``: the membership, and the loop that fetches.

    ``records.use_fetched_records`` is called before it starts.
    """

    def __init__(
        self,
        *,
        client: Mapping[str, Any],
        member: GroupMember,
        inputs: InputTopics,
        limits: FetchLimits,
        held: Callable[[], Mapping[int, int]],
        clock: Clock,
    ) -> None:
        """``client``: what every client of the cluster needs: addresses and security. ``held``: partition ->
        the changelog offset that its state on this machine has reached.
        """
        self._member = member
        self._input_topics = inputs
        self._topics = inputs.topics
        self._inputs: dict[TopicPartition, KafkaInput] = {}
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._rebalancing = True
        self._generation = 0
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._poller = Poller(limits)
        self._closing = False
        self._failure = ""  # the last one, until something is fetched again
        self._unreadable_times: Counter[TopicPartition] = Counter()  # in a row
        self._clock = clock
        self._login = login_in(client)
        self._grants = grants_of(client)
        self._options = {
            **client,
            "group_id": member.group_id,
            "group_instance_id": member.group_instance_id,
            "session_timeout_ms": member.session_timeout_ms,
            "rebalance_timeout_ms": max(member.session_timeout_ms, _REBALANCE_MS),
            "heartbeat_interval_ms": member.heartbeat_interval_ms,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",  # once offsets exist, input out of range is an error, never a jump
            "isolation_level": "read_committed",
            # The client would leave the group for good where nothing is fetched for so long: by a member
            # without partitions, or in a long restore. Whether the program is alive, its watchdog knows.
            "max_poll_interval_ms": _NEVER_IDLE_MS,
            "metadata_max_age_ms": _TOPICS_LOOKED_AT_MS,
            "partition_assignment_strategy": (StickyAssignor(held=held, owned=self._partitions_with_a_task),),
            "fetch_max_bytes": limits.fetch_bytes,
            "fetch_max_wait_ms": FETCH_WAIT_MS,
            # The client hands it on to ``FetchedRecords``.
            "value_deserializer": self._poller.budget,
            # A batch may be larger, but so much of each partition may wait in the client, compressed.
            "max_partition_fetch_bytes": _FETCH_BYTES_A_PARTITION,
        }
        self._consumer: AIOKafkaConsumer | None = None
        self._membership: Membership | None = None
        self._topic_watch: TopicWatch | None = None

    # --- for the worker ---

    async def start(self) -> None:
        """Connect and join. Raises Fatal when no broker answers."""
        self._consumer = AIOKafkaConsumer(**self._options)
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._consumer.stop()
            if self._login is not None and (refused := self._login.newest_refusal()) is not None:
                raise refused from error
            raise Fatal(
                f"cannot reach the brokers at {self._options['bootstrap_servers']}: {error}"
            ) from error
        self._membership = Membership(self._consumer, self._member, self._clock, self._grants)
        self._topic_watch = TopicWatch(self._consumer, self._topics, self._clock)
        self._consumer.subscribe(list(self._topics), listener=self)

    async def changed(self) -> frozenset[int]:
        """Wait for the next change of the assignment; the partitions that are ours from now on."""
        await self._changed.wait()
        self._changed.clear()
        return frozenset([tp.partition for tp in self._assigned if self._is_ours(tp.partition)])

    def source(self, partition: int) -> KafkaSource:
        """A new source for a partition that was assigned."""
        assert self._consumer is not None
        source = KafkaSource(self, Offsets(self._consumer, self._grants), partition, self._input_topics)
        self._inputs |= {each.topic_partition: each for each in source.inputs}
        return source

    def release(self, partition: int) -> None:
        """Fetch no more for the partition: its task has ended."""
        for topic in self._topics:
            self._inputs.pop(TopicPartition(topic, partition), None)

    async def pump(self) -> None:
        """Fetch for every source that has room, until closed. Raises Fatal when the group can never work."""
        assert self._membership is not None
        assert self._topic_watch is not None
        while not self._closing:
            generation = self._generation
            try:
                if self._login is not None:
                    self._login.check()
                self._membership.raise_errors()
                self._topic_watch.check()
                fetched = await self._fetch()
            except OffsetOutOfRangeError as error:
                self._report_out_of_range(error)
            except UnreadableError as error:
                self._count_unreadable(error)
                await asyncio.sleep(_RETRY_S)
            except (NoOffsetForPartitionError, IllegalStateError):
                await asyncio.sleep(0.05)  # a rebalance took a partition between the question and the answer
            except KafkaError as error:
                if self._closing:
                    return
                self._membership.raise_if_fatal(error)
                self._failure = type(error).__name__
                telemetry.emit(telemetry.RequestFailed(reason=f"{type(error).__name__}: {error}"))
                await asyncio.sleep(_RETRY_S)
            else:
                self._failure = "" if fetched else self._failure
                self._deliver(fetched, generation)
                await self._clock.sleep(0)  # what the client has already is returned without waiting

    async def close(self) -> None:
        """Leave the group (a static member keeps its place) and close the connections."""
        self._closing = True
        self._poller.wake()
        if self._consumer is not None:
            # The client's stop can hang while brokers are away (aiokafka #773); the process ends anyway.
            await asyncio.wait([asyncio.ensure_future(self._consumer.stop())], timeout=_LEAVE_S)

    # --- the client's callbacks: it sends no heartbeat until they return, so they return at once ---

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 - always all
        """Keep the tasks until the rebalance is over: the eager protocol revokes everything at each one."""
        for kept in self._inputs.values():
            position = self.progress(kept.topic_partition).position  # fetches may have brought only markers
            kept.advance_to(position)
        self._rebalancing = True
        self._settled.clear()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Let kept partitions go on where their source is, and the worker know of the new assignment."""
        self._generation += 1
        self._assigned = frozenset(assigned)
        self._rebalancing = False
        assert self._membership is not None
        self._membership.on_assigned()
        for kept in self._inputs.values():
            self._restore_position(kept)
        self._changed.set()
        self._settled.set()
        self._poller.position_changed()

    # --- for the sources ---

    def room_made(self) -> None:
        """A source has room again: fetch more for it."""
        self._poller.wake()

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        """Fetch from this offset on, if the partition is assigned at the moment."""
        if self._is_assigned(topic_partition):
            assert self._consumer is not None
            self._consumer.seek(topic_partition, offset)
            self._poller.position_changed()

    def progress(self, topic_partition: TopicPartition) -> FetchProgress:
        """How far the client has fetched the partition."""
        assert self._consumer is not None
        assigned = self._is_assigned(topic_partition)
        unanswered = "no fetch has been answered" + (f": {self._failure}" if self._failure else "")
        reason = unanswered if assigned else _REBALANCING
        state = partition_state(self._consumer, topic_partition)
        if state is None:
            return FetchProgress(unknown_because=reason)
        position = state.position if assigned else None
        if state.ends is None:
            return FetchProgress(position, unknown_because=reason)
        ends = state.ends
        unfetched = 0 if state.position is None else max(0, ends.stable - state.position)
        in_open_transactions = max(0, ends.log - ends.stable)
        if position is None:
            return FetchProgress(None, unfetched, in_open_transactions, unknown_because=reason)
        age_ms = abs(time.time() * 1000 - ends.reported_ms)
        # While its records wait in the client, nothing more is asked for.
        is_known = age_ms < _REPORTED_LATELY_MS or ClientFetcher(self._consumer).keeps_records_of(
            topic_partition
        )
        return FetchProgress(
            position,
            unfetched,
            in_open_transactions,
            at_end=not unfetched and age_ms < _REPORTED_JUST_NOW_MS,
            unknown_because="" if is_known else unanswered,
        )

    async def still_assigned(self, partition: int) -> bool:
        """Wait two heartbeats, which show a member that it was evicted, and until a rebalance is over."""
        await asyncio.sleep(2 * self._member.heartbeat_interval_ms / 1000)
        await self._settled.wait()
        return not self._rebalancing and self._is_ours(partition)

    # --- within ---

    async def _fetch(self) -> Fetched:
        """What has come for inputs that have room; where nothing has, wait for it a while."""
        assert self._consumer is not None
        buffered_bytes = sum([each.buffered_bytes for each in self._inputs.values()])
        if buffered_bytes >= _BUFFERED_BYTES or self._poller.budget.has_waiting:
            self._drop_stalled()
        wanted: list[TopicPartition] = []
        with_data = self._poller.partitions_with_data(self._consumer)
        if buffered_bytes < _BUFFERED_BYTES:
            share_bytes = _BUFFERED_BYTES // max(1, len(self._inputs))
            for topic_partition in with_data:
                each = self._inputs.get(topic_partition)
                if each is not None and each.has_room(share_bytes) and self._is_assigned(topic_partition):
                    wanted.append(topic_partition)
        try:
            return await self._poller.poll(self._consumer, wanted, _CHECK_S)
        except Exception:
            # What the call had taken of other partitions is lost, and the client is positioned after that.
            for topic_partition in wanted:
                if (read := self._inputs.get(topic_partition)) is not None:
                    self._restore_position(read)
            raise

    def _drop_stalled(self) -> None:
        """Free the memory of inputs whose task has not asked for a while: their records are fetched again."""
        for each in self._inputs.values():
            if each.is_stalled(_STALLED_S) and self._is_assigned(each.topic_partition):
                each.drop_buffered()
                self._restore_position(each)

    def _restore_position(self, read: KafkaInput) -> None:
        """Seek the client to the input's own position, which alone counts."""
        if read.position is not None:
            self.seek(read.topic_partition, read.position)

    def _is_assigned(self, topic_partition: TopicPartition) -> bool:
        return not self._rebalancing and topic_partition in self._assigned

    def _partitions_with_a_task(self) -> frozenset[int]:
        return frozenset([tp.partition for tp in self._inputs])

    def _is_ours(self, partition: int) -> bool:
        """Whether this partition of every input is assigned to us: they always go together."""
        return all(TopicPartition(topic, partition) in self._assigned for topic in self._topics)

    def _deliver(self, fetched: Fetched, generation: int) -> None:
        for topic_partition, records in fetched.items():
            size_bytes = _BYTES_A_RECORD * len(records)
            size_bytes += sum([len(record.value) for record in records if record.value is not None])
            each = self._inputs.get(topic_partition)
            if each is None or each.position is None:
                continue
            if generation != self._generation or records[0].offset < each.position:
                # The fetch was sent before a rebalance or a seek, and may begin at the committed offset.
                self._restore_position(each)
            else:
                each.deliver(ListedRecords(records), size_bytes)
                self._unreadable_times.pop(topic_partition, None)

    def _count_unreadable(self, error: UnreadableError) -> None:
        """Fail the input at the third time in a row; what was damaged in transit is whole again."""
        telemetry.emit(telemetry.RequestFailed(reason=str(error)))
        self._unreadable_times[error.topic_partition] += 1
        times = self._unreadable_times[error.topic_partition]
        read = self._inputs.get(error.topic_partition)
        if read is not None and times >= UNREADABLE_TIMES:
            topic, partition = error.topic_partition
            read.fail(
                Fatal(
                    f"{error} ({times} times). Where another replica is whole, let it lead; else accept the "
                    f"loss: delete the records of {topic}/{partition} up to the end of this batch "
                    "(kafka-delete-records), and go on behind them (docs/operations.md, Deleted input)"
                )
            )

    def _report_out_of_range(self, error: OffsetOutOfRangeError) -> None:
        for topic_partition, offset in error.args[0].items():
            gone = self._inputs.get(topic_partition)
            # Below its position: an old committed offset, where the client began after a rebalance.
            if gone is not None and gone.position is not None and offset >= gone.position:
                # Whether that is a loss is decided when the task starts again and reads the changelog:
                # another worker may have read on, and what was deleted may have held no record.
                gone.fail(
                    TransactionLost(
                        f"offset {offset} of {topic_partition.topic}/{topic_partition.partition} is not in "
                        "the log"
                    )
                )
