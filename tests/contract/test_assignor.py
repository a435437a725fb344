"""What the assignor promises the client, and what a group of real consumers makes of it: claims travel, a
task's partitions of all topics go together, and nothing that others send does harm.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import InconsistentGroupProtocolError

from tests.conftest import Kafka
from tests.contract.cluster import admin, make_topics
from tests.waiting import eventually
from worker.adapters.kafka_assignor import StickyAssignor

MEGABYTE = 1_000_000

Partitions = dict[str, list[int]]


class Machine:
    """A worker's disk and tasks, as its assignor sees them; and the partitions that it was given."""

    def __init__(self, held: Mapping[int, int] | None = None) -> None:
        self.held = dict(held or {})
        self.tasks: set[int] = set()
        self.assignor = StickyAssignor(held=lambda: self.held, owned=lambda: self.tasks)

    def sends(self, *topics: str) -> ConsumerProtocolMemberMetadata:
        """What it joins with, as it arrives at the leader."""
        sent = self.assignor.metadata(topics)
        return ConsumerProtocolMemberMetadata.decode(sent.encode())

    def gets(self, assignment: ConsumerProtocolMemberAssignment, state: int = 100) -> Partitions:
        """Take an assignment and run it; its partitions by topic."""
        arrived = ConsumerProtocolMemberAssignment.decode(assignment.encode())
        self.assignor.on_assignment(arrived)
        partitions = {topic: list(own) for topic, own in arrived.assignment}
        self.tasks = {p for own in partitions.values() for p in own}
        self.held |= dict.fromkeys(self.tasks, state)
        return partitions


class Cluster:
    """The topics as the client knows them: name -> number of partitions."""

    def __init__(self, **topics: int) -> None:
        self._topics = topics

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self._topics[topic])) if topic in self._topics else None


def rebalance(
    cluster: Cluster, machines: Mapping[str, Machine], topics: Sequence[str] = ("raw", "rekey")
) -> dict[str, Partitions]:
    """One round of the group, led by the first machine."""
    leader = next(iter(machines.values()))
    sent = {member: machine.sends(*topics) for member, machine in machines.items()}
    answers = leader.assignor.assign(cluster, sent)
    return {member: machine.gets(answers[member]) for member, machine in machines.items()}


# --- topics and tasks ---


def test_the_partitions_of_a_task_go_together_and_all_are_assigned() -> None:
    got = rebalance(Cluster(raw=8, rekey=4), {"a": Machine(), "b": Machine(), "c": Machine()})
    assert sorted(p for of in got.values() for p in of["raw"]) == list(range(8))
    for of in got.values():
        assert of["rekey"] == [p for p in of["raw"] if p < 4]


def test_a_topic_that_the_client_does_not_know_yet_is_left_out() -> None:
    assert rebalance(Cluster(raw=2), {"a": Machine()}) == {"a": {"raw": [0, 1], "rekey": []}}


def test_members_that_read_different_topics_share_the_tasks_and_get_only_what_they_read() -> None:
    old, new = Machine(), Machine()
    answers = old.assignor.assign(
        Cluster(raw=4, rekey=4), {"old": old.sends("raw"), "new": new.sends("raw", "rekey")}
    )
    of_old, of_new = old.gets(answers["old"]), new.gets(answers["new"])
    assert of_old.keys() == {"raw"}
    assert of_new["raw"] == of_new["rekey"]
    assert sorted(of_old["raw"] + of_new["raw"]) == [0, 1, 2, 3]


def test_deployments_that_have_no_topic_in_common_take_nothing_from_each_other() -> None:
    own, stranger, lost = Machine(), Machine(), Machine()
    sent = {"own": own.sends("raw"), "stranger": stranger.sends("else"), "lost": lost.sends("misspelt")}
    answers = own.assignor.assign(Cluster(raw=3, **{"else": 2}), sent)
    assert own.gets(answers["own"]) == {"raw": [0, 1, 2]}
    assert stranger.gets(answers["stranger"]) == {"else": [0, 1]}
    assert lost.gets(answers["lost"]) == {"misspelt": []}


# --- claims ---


def test_what_runs_stays_when_another_joins_and_when_it_leaves() -> None:
    cluster, machines = Cluster(raw=6, rekey=6), {"z": Machine(), "y": Machine()}
    first = rebalance(cluster, machines)
    second = rebalance(cluster, {**machines, "a": Machine()})
    for member in machines:
        assert set(second[member]["raw"]) < set(first[member]["raw"])
    third = rebalance(cluster, machines)
    for member in machines:
        assert set(second[member]["raw"]) < set(third[member]["raw"])


def test_a_new_process_on_a_machine_with_state_gets_what_the_state_is_of() -> None:
    machines = {"a": Machine(), "b": Machine({1: 500, 2: 500})}
    assert rebalance(Cluster(raw=4), machines, ["raw"])["b"] == {"raw": [1, 2]}


def test_a_store_that_holds_nothing_is_no_claim() -> None:
    machines = {"a": Machine(), "b": Machine({0: 500, 1: 500, 2: 0, 3: -1})}
    assert rebalance(Cluster(raw=4), machines, ["raw"])["b"] == {"raw": [0, 1]}


def test_a_partition_that_has_no_task_here_is_no_claim() -> None:
    idle, holds = Machine(), Machine({0: 900})
    rebalance(Cluster(raw=1), {"a": idle}, ["raw"])
    idle.tasks = set()
    assert rebalance(Cluster(raw=1), {"a": idle, "b": holds}, ["raw"])["b"] == {"raw": [0]}


def test_a_task_that_was_given_away_and_has_not_ended_is_no_claim() -> None:
    cluster, slow, other = Cluster(raw=2), Machine(), Machine()
    rebalance(cluster, {"a": slow}, ["raw"])
    moved = rebalance(cluster, {"a": slow, "c": other}, ["raw"])["c"]
    slow.tasks = {0, 1}
    slow.held, other.held = {0: 900, 1: 900}, {}
    assert rebalance(cluster, {"a": slow, "b": Machine(), "c": other}, ["raw"])["c"] == moved


def test_one_that_missed_assignments_does_not_get_back_what_others_run_since() -> None:
    cluster, paused, other, new = Cluster(raw=4), Machine(), Machine(), Machine()
    rebalance(cluster, {"paused": paused, "other": other}, ["raw"])
    rebalance(cluster, {"other": other}, ["raw"])
    before = rebalance(cluster, {"new": new, "other": other}, ["raw"])
    paused.held = dict.fromkeys(paused.tasks, 900)
    after = rebalance(cluster, {"new": new, "other": other, "paused": paused}, ["raw"])
    assert len(after["paused"]["raw"]) == 1
    for member in ("new", "other"):
        assert set(after[member]["raw"]) <= set(before[member]["raw"])


# --- whatever others send ---


@pytest.mark.parametrize(
    "user_data",
    [
        b"",
        b"\x00",
        b"\xff" * 100,
        b"not msgpack at all",
        b"\x91" * 100_000,
        bytes([0x95, 1, 0, 0x90, 0x80]) + b"\x91" * 100_000,
        bytes([0x94, 2, 99, 0x92, 0, 1, 0x80]),
        bytes([0x94, 1, 0xFF, 0x90, 0x80]),
        bytes([0x94, 1, 0, 0x90, 0x81, 0xA1, 0xFF, 0]),
    ],
    ids=[
        "none",
        "short",
        "garbage",
        "text",
        "deep",
        "deep beyond",
        "newer version",
        "negative",
        "not a partition",
    ],
)
def test_claims_that_cannot_be_understood_are_none(user_data: bytes) -> None:
    cluster, machine = Cluster(raw=4), Machine()
    rebalance(cluster, {"a": machine}, ["raw"])
    answers = machine.assignor.assign(
        cluster,
        {"a": machine.sends("raw"), "odd": ConsumerProtocolMemberMetadata(0, ["raw"], user_data)},
    )
    assert machine.gets(answers["a"]) == {"raw": [0, 1]}
    assert Machine().gets(answers["odd"]) == {"raw": [2, 3]}


@pytest.mark.parametrize("user_data", [b"", b"\xff", None], ids=["none", "garbage", "null"])
def test_an_answer_that_cannot_be_understood_is_taken_all_the_same(user_data: bytes | None) -> None:
    cluster, machine = Cluster(raw=2), Machine()
    odd = ConsumerProtocolMemberAssignment(0, [("raw", [1])], user_data)
    assert machine.gets(odd) == {"raw": [1]}
    assert rebalance(cluster, {"b": machine, "a": Machine()}, ["raw"])["b"] == {"raw": [1]}


def test_a_worker_that_cannot_say_what_it_holds_joins_all_the_same() -> None:
    def broken() -> dict[int, int]:
        raise OSError("the disk is gone")

    assignor = StickyAssignor(held=broken, owned=tuple)
    assert assignor.metadata(["raw"]).user_data == b""


def test_where_claims_lead_to_an_error_everything_is_assigned_without_them() -> None:
    class Unwell(Cluster):
        asked = 0

        def partitions_for_topic(self, topic: str) -> set[int] | None:
            self.asked += 1
            if self.asked == 1:
                raise RuntimeError("once")
            return super().partitions_for_topic(topic)

    got = rebalance(Unwell(raw=4), {"a": Machine(), "b": Machine()}, ["raw"])
    assert sorted(got["a"]["raw"] + got["b"]["raw"]) == [0, 1, 2, 3]


def test_what_two_hundred_members_send_fits_into_the_brokers_record_of_the_group() -> None:
    everything = dict.fromkeys(range(1_000), 10**12)
    sent_bytes = len(Machine(everything).sends("raw").user_data)
    assert 200 * sent_bytes < MEGABYTE


def test_of_more_state_than_can_be_sent_the_furthest_and_all_that_is_owned_are() -> None:
    machine = Machine()
    rebalance(Cluster(raw=2), {"a": machine}, ["raw"])
    machine.held = {p: p + 1 for p in range(1_000)}
    machines = {"a": machine, "b": Machine(), "c": Machine()}
    got = rebalance(Cluster(raw=1_000), machines, ["raw"])
    assert got["a"]["raw"] == [0, 1, *range(668, 1_000)]


# --- on a real broker ---


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
        names = {topic_prefix + "raw": 8, topic_prefix + "rekey": 4}
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
    return [topic_prefix + "raw", topic_prefix + "rekey"]


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
        raw, rekey = topics
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
                        assert read[rekey] == {p for p in read[raw] if p < 4}

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
