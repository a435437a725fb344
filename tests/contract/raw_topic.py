"""A raw topic and the members of its group: what the contract of a source is tried with."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count

from testing.wait import eventually
from tests.contract.cluster import reader, write, write_in_transaction
from tests.contract.place import transaction_of
from tests.native_parts import Reader
from worker.adapters.kafka.consumer import ConsumerGroup
from worker.adapters.kafka.membership import GroupMember
from worker.adapters.kafka.poller import FetchLimits
from worker.adapters.kafka.records import FetchedRecords, use_fetched_records
from worker.adapters.kafka.source import InputTopics, KafkaSource, StartFrom
from worker.adapters.system_clock import SystemClock
from worker.model.events import InputRecord

HEARTBEAT_S = 0.2


class Raw:
    """One raw topic and its group; where events are repartitioned, the repartition topic too."""

    def __init__(
        self,
        servers: str,
        prefix: str,
        request_timeout_ms: int = 40_000,
        *,
        repartitioned: bool = False,
        most_value_bytes: int = 8 * 1024 * 1024,
        records: Reader = FetchedRecords,
    ) -> None:
        self._records = records
        self._most_value_bytes = most_value_bytes
        self._request_timeout_ms = request_timeout_ms
        self.servers = servers
        self.topic = prefix + "raw"
        self.repartition_topic = prefix + "repartition"
        self.topics = [self.topic, self.repartition_topic] if repartitioned else [self.topic]
        self.group_id = prefix + "group"
        self._numbers = count()

    def at(self, offset: int) -> Mapping[str, int]:
        """Where to seek."""
        return {self.topic: offset}

    async def write(self, records: int, partition: int = 0) -> None:
        """Append that many records; each one's value is its number."""
        values = [b"%d" % next(self._numbers) for _ in range(records)]
        await write(self.servers, self.topic, values, partition=partition)

    async def write_at(self, topic: str, *times_ms: int) -> None:
        """Append a record for each time, which is its timestamp and its value."""
        await write(self.servers, topic, [b"%d" % time_ms for time_ms in times_ms], times_ms=times_ms)

    async def write_in_transaction(self, *values: bytes, abort: bool = False) -> None:
        """Append the values in a transaction, and wait for its end."""
        await write_in_transaction(self.servers, self.topic, values, self.topic + "-writer", abort=abort)

    async def commit(self, offset: int) -> None:
        """Commit the group's offset of partition 0, while nobody is in the group."""
        async with reader(self.servers, self.topic, self.group_id) as (consumer, partition):
            await consumer.commit({partition: offset})

    async def commit_as(self, author: str, offset: int) -> None:
        """The same as a worker does it: in a transaction."""
        async with transaction_of(self.servers, self.group_id) as transaction:
            await transaction.fence()
            await transaction.begin()
            await transaction.add_offsets({self.topic: offset}, author)
            await transaction.commit()

    def new_member(
        self,
        instance_id: str | None = None,
        start_from: StartFrom = "earliest",
        session_timeout_ms: int = 6_000,
    ) -> ConsumerGroup:
        """A member of the group, not yet started."""
        use_fetched_records(self._records)
        return ConsumerGroup(
            client={
                "bootstrap_servers": self.servers,
                "request_timeout_ms": self._request_timeout_ms,
                "max_poll_interval_ms": 1_000,  # the client's idle limit, which must not be in force
            },
            member=GroupMember(
                group_id=self.group_id,
                group_instance_id=instance_id,
                session_timeout_ms=session_timeout_ms,
                heartbeat_interval_ms=int(HEARTBEAT_S * 1000),
            ),
            inputs=InputTopics(self.topics, start_from),
            limits=FetchLimits(8 * 1024 * 1024, self._most_value_bytes),
            held=dict,
            clock=SystemClock(),
        )

    @asynccontextmanager
    async def member(
        self,
        instance_id: str | None = None,
        start_from: StartFrom = "earliest",
        session_timeout_ms: int = 6_000,
    ) -> AsyncIterator[ConsumerGroup]:
        """A member of the group, fetching."""
        group = self.new_member(instance_id, start_from, session_timeout_ms)
        await group.start()
        pump = asyncio.get_running_loop().create_task(group.pump())
        try:
            yield group
        finally:
            await group.close()
            async with asyncio.timeout(5):
                await pump

    @asynccontextmanager
    async def source(self, start_from: StartFrom = "earliest") -> AsyncIterator[KafkaSource]:
        """The source of partition 0, of the only member."""
        async with self.member(start_from=start_from) as group:
            assert await changed(group) == {0}
            yield group.source(0)


async def changed(group: ConsumerGroup) -> frozenset[int]:
    """The member's next assignment that is not empty."""
    async with asyncio.timeout(20):
        while not (assigned := await group.changed()):
            pass
        return assigned


async def take(source: KafkaSource, records: int) -> list[InputRecord]:
    """Read until that many have come."""
    taken: list[InputRecord] = []
    async with asyncio.timeout(20):
        while len(taken) < records:
            taken += await source.next_records(1.0)
    return taken


async def becomes(source: KafkaSource, *, caught_up: bool) -> None:
    """Wait, without reading, until it says so."""

    async def says_so() -> bool:
        return source.lag().caught_up is caught_up

    await eventually(says_so, what=f"caught_up is {caught_up}", timeout_s=20)


async def goes_on_at(source: KafkaSource, next_offsets: Mapping[str, int]) -> None:
    """Read whatever comes until it says that it goes on there."""

    async def says_so() -> bool:
        await source.next_records(0.0)
        return source.next_offsets() == next_offsets

    await eventually(says_so, what=f"it goes on at {next_offsets}", timeout_s=20)


async def becomes_known(source: KafkaSource, *, lag: int) -> None:
    """Wait, without reading, until it tells this lag."""

    async def says_so() -> bool:
        return source.lag().records == lag

    await eventually(says_so, what=f"the lag is {lag}", timeout_s=20)


def offsets(records: list[InputRecord]) -> list[int]:
    return [record.offset for record in records]
