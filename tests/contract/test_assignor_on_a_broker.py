"""What a group of real consumers makes of the assignor: claims travel, a task's partitions go together."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import InconsistentGroupProtocolError

from testing.wait import eventually
from tests.conftest import Kafka
from tests.contract.cluster import admin, make_topics
from tests.contract.machine import Machine
from worker.adapters.kafka.assignor import StickyAssignor


class Garbled(StickyAssignor):
    """An assignor whose claims nobody can read."""

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(0, sorted(topics), b"\xc1 what is this?")


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]  # the client is untyped
    """A real consumer, and a machine that runs what it is given."""

    def __init__(self, machine: Machine, topics: Sequence[str], assignor: Any = None, **options: Any) -> None:
        self.assignments = 0
        self.tasks: set[int] = set()
        self.assigned: set[TopicPartition] = set()
        self._machine = machine
        self._topics = topics
        self.client = AIOKafkaConsumer(
            partition_assignment_strategy=(assignor or machine.assignor,),
            session_timeout_ms=6_000,
            heartbeat_interval_ms=200,
            enable_auto_commit=False,
            **options,
        )

    async def __aenter__(self) -> "Consumer":
        await self.client.start()
        self.client.subscribe(self._topics, listener=self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.stop()

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        pass

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.assignments += 1
        self.assigned = assigned
        self.tasks = self._machine.tasks = {tp.partition for tp in assigned}
        self._machine.held |= dict.fromkeys(self.tasks, 10)


@pytest.fixture
def group(kafka: Kafka, topic_prefix: str) -> dict[str, str]:
    """Where a group of the two topics meets: options of its consumers."""

    async def make() -> None:
        names = {topic_prefix + "raw": 8, topic_prefix + "repartition": 4}
        for name, partitions in names.items():
            await make_topics(kafka.bootstrap_servers, name, partitions=partitions)
        async with admin(kafka.bootstrap_servers) as client:

            async def are_known() -> bool:
                return names.keys() <= set(await client.list_topics())

            await eventually(are_known, what="the broker tells clients of the topics")

    asyncio.run(make())
    return {"bootstrap_servers": kafka.bootstrap_servers, "group_id": topic_prefix + "group"}


@pytest.fixture
def topics(topic_prefix: str) -> list[str]:
    return [topic_prefix + "raw", topic_prefix + "repartition"]


async def shared(*consumers: Consumer) -> list[set[int]]:
    """Wait until each has a share of the eight tasks; their tasks."""

    async def is_shared() -> bool:
        tasks = [consumer.tasks for consumer in consumers]
        return sorted(p for own in tasks for p in own) == list(range(8)) and all(tasks)

    await eventually(is_shared, what="every member has its share", timeout_s=20)
    return [set(consumer.tasks) for consumer in consumers]


def test_consumers_share_tasks_by_what_they_say_and_one_that_says_nothing_sensible_does_no_harm(
    group: dict[str, str], topics: list[str]
) -> None:
    async def scenario() -> None:
        raw, repartition = topics
        async with Consumer(Machine(), topics, **group) as first:
            await shared(first)
            async with Consumer(Machine(dict.fromkeys([1, 3, 5, 7], 900)), topics, **group) as second:
                assert await shared(first, second) == [{0, 2, 4, 6}, {1, 3, 5, 7}]
                odd = Machine()
                garbled = Garbled(held=dict, owned=tuple)
                async with Consumer(odd, topics, garbled, **group) as third:
                    of_first, of_second, of_third = await shared(first, second, third)
                    assert of_first < {0, 2, 4, 6}
                    assert of_second < {1, 3, 5, 7}
                    assert len(of_third) == 2
                    for consumer in (first, second, third):
                        read = {
                            topic: {tp.partition for tp in consumer.assigned if tp.topic == topic}
                            for topic in topics
                        }
                        assert read[repartition] == {p for p in read[raw] if p < 4}

    asyncio.run(scenario())


def test_a_static_member_that_restarts_has_its_partitions_back_and_nobody_rebalances(
    group: dict[str, str], topics: list[str]
) -> None:
    async def scenario() -> None:
        machine = Machine()
        async with Consumer(Machine(), topics, group_instance_id="1", **group) as other:
            await shared(other)
            async with Consumer(machine, topics, group_instance_id="2", **group) as restarting:
                before = await shared(other, restarting)
            assignments = other.assignments
            again = Machine(machine.held)
            async with Consumer(again, topics, group_instance_id="2", **group) as restarted:
                assert await shared(other, restarted) == before
                assert other.assignments == assignments
                async with Consumer(Machine(), topics, group_instance_id="0", **group) as third:
                    of_other, of_restarted, _ = await shared(other, restarted, third)
                    assert of_other < before[0]
                    assert of_restarted < before[1]

    asyncio.run(scenario())


def test_a_group_whose_members_use_another_assignor_refuses_this_one(
    group: dict[str, str], topics: list[str]
) -> None:
    async def scenario() -> None:
        async with Consumer(Machine(), topics, RangePartitionAssignor, **group) as former:
            await shared(former)
            async with Consumer(Machine(), topics, **group) as newcomer:
                with pytest.raises(InconsistentGroupProtocolError):
                    await newcomer.client.getmany(timeout_ms=20_000)
            assert former.tasks == set(range(8))

    asyncio.run(scenario())
