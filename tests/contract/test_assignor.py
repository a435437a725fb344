"""What the assignor promises the client: a task's partitions of all topics go together, and nothing that
others send does harm.
"""

from collections.abc import Mapping, Sequence

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from tests.contract.machine import Machine, Partitions
from worker.adapters.kafka.assignor import StickyAssignor

MEGABYTE = 1_000_000


class Cluster:
    """The topics as the client knows them: name -> number of partitions."""

    def __init__(self, **topics: int) -> None:
        self._topics = topics

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self._topics[topic])) if topic in self._topics else None


def rebalance(
    cluster: Cluster, machines: Mapping[str, Machine], topics: Sequence[str] = ("raw", "repartition")
) -> dict[str, Partitions]:
    """One round of the group, led by the first machine."""
    leader = next(iter(machines.values()))
    sent = {member: machine.sends(*topics) for member, machine in machines.items()}
    answers = leader.assignor.assign(cluster, sent)
    return {member: machine.gets(answers[member]) for member, machine in machines.items()}


# --- topics and tasks ---


def test_the_partitions_of_a_task_go_together_and_all_are_assigned() -> None:
    got = rebalance(Cluster(raw=8, repartition=4), {"a": Machine(), "b": Machine(), "c": Machine()})
    assert sorted(p for of in got.values() for p in of["raw"]) == list(range(8))
    for of in got.values():
        assert of["repartition"] == [p for p in of["raw"] if p < 4]


def test_a_topic_that_the_client_does_not_know_yet_is_left_out() -> None:
    assert rebalance(Cluster(raw=2), {"a": Machine()}) == {"a": {"raw": [0, 1], "repartition": []}}


def test_members_that_read_different_topics_share_the_tasks_and_get_only_what_they_read() -> None:
    old, new = Machine(), Machine()
    answers = old.assignor.assign(
        Cluster(raw=4, repartition=4), {"old": old.sends("raw"), "new": new.sends("raw", "repartition")}
    )
    of_old, of_new = old.gets(answers["old"]), new.gets(answers["new"])
    assert of_old.keys() == {"raw"}
    assert of_new["raw"] == of_new["repartition"]
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
    cluster, machines = Cluster(raw=6, repartition=6), {"z": Machine(), "y": Machine()}
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
