"""Inputs whose logs were emptied while no worker ran.

Offsets without records are no loss; offsets that may have held records are rejected, and an operator may
accept the loss.
"""

import pytest

from tests.builders import click, record
from tests.simulation.broker import Broker
from tests.simulation.mutants import StopsAfterTheLastRecord
from tests.simulation.process import Machine, Parts
from tests.simulation.simulation import Simulation
from tests.simulation.topics import RAW_TOPIC, REPARTITION_TOPIC
from tests.simulation.traffic import Incoming
from worker.core.partitioner import Partitioning
from worker.errors import Fatal
from worker.model.state import GroupOffset

RAW = RAW_TOPIC, 0


def clicks(records: int, markers: int = 0) -> list[Incoming]:
    """Records of one device, and markers of a transactional producer after them."""
    taken = [record(offset, [click("d1", f"8:{offset:02}:00", id=str(offset))]) for offset in range(records)]
    return [*((0, one) for one in taken), *[(0, None)] * markers]


def one_misplaced() -> list[Incoming]:
    """An event in partition 0 of a device that belongs to partition 1."""
    partition_of = Partitioning(partitions=2).partition_of
    device = next(d for d in map("d{}".format, range(100)) if partition_of(d) == 1)
    return [(0, record(0, [click(device, "8:00:00", id="misplaced")]))]


def stopped_when_read(simulation: Simulation, ends: dict[tuple[str, int], int]) -> Machine:
    """A worker has committed these offsets and stopped; its machine."""
    worker = simulation.start_worker()
    broker = simulation.world.broker
    simulation.run_until(lambda: broker.group_offsets == ends, f"committed {ends}")
    worker.stop()
    simulation.run_until(lambda: worker.over and not broker.owes_markers, "stopped")
    simulation.world.now += 2  # the group's offsets are answered as they are
    return worker.machine


def set_by_hand(broker: Broker, place: tuple[str, int], offset: int) -> None:
    """Set an offset as kafka-consumer-groups.sh does."""
    broker.group_offsets[place] = offset
    broker.authors[place] = ""
    assert broker.committed_offsets([place]) == {place: GroupOffset(offset, "")}


def test_an_emptied_repartition_log_is_no_loss_where_all_was_read() -> None:
    with Simulation(seed=1, partitions=2).feed(one_misplaced()) as simulation:
        ends = {(RAW_TOPIC, 0): 1, (RAW_TOPIC, 1): 0, (REPARTITION_TOPIC, 0): 0, (REPARTITION_TOPIC, 1): 2}
        machine = stopped_when_read(simulation, ends)
        simulation.world.broker.delete_below((REPARTITION_TOPIC, 1), 2)
        simulation.start_worker(machine)
        simulation.check()


@pytest.mark.parametrize("markers", [0, 1, 5])
def test_an_emptied_raw_log_is_no_loss_where_all_was_read(markers: int) -> None:
    with Simulation(seed=2).feed(clicks(10, markers)) as simulation:
        machine = stopped_when_read(simulation, {RAW: 10 + markers})
        simulation.world.broker.delete_below(RAW, 10 + markers)
        simulation.start_worker(machine)
        simulation.check()


def test_a_single_deleted_offset_of_an_empty_repartition_log_was_a_marker() -> None:
    """An earlier version committed the offset after the last record."""
    with Simulation(seed=3, partitions=2).feed(one_misplaced()) as simulation:
        simulation.parts = Parts(task=StopsAfterTheLastRecord)
        ends = {(RAW_TOPIC, 0): 1, (RAW_TOPIC, 1): 0, (REPARTITION_TOPIC, 0): 0, (REPARTITION_TOPIC, 1): 1}
        machine = stopped_when_read(simulation, ends)
        simulation.world.broker.delete_below((REPARTITION_TOPIC, 1), 2)
        simulation.parts = Parts()
        simulation.start_worker(machine)
        simulation.check()


def refused(simulation: Simulation, machine: Machine, match: str) -> None:
    """A worker that starts gives this reason, and is gone."""
    worker = simulation.start_worker(machine)
    with pytest.raises(Fatal, match=match):
        simulation.run_until(lambda: worker.over, "it has ended")
    simulation.kill(worker)


@pytest.mark.parametrize("group_knows", [True, False])
def test_deleted_records_are_refused_until_an_operator_sets_the_group_to_the_logs_start(
    group_knows: bool,
) -> None:
    with Simulation(seed=4).feed(clicks(10)) as simulation:
        broker, world = simulation.world.broker, simulation.world
        machine = stopped_when_read(simulation, {RAW: 10})
        for _ in range(5):
            broker.append(RAW, (None, b"[]", None))
        broker.delete_below(RAW, 13)
        if not group_knows:  # the group's offsets have expired
            broker.group_offsets.clear()
        refused(
            simulation,
            machine,
            "begins at offset 13 and has been read up to 10.*--group sessionizer --topic events.raw:0",
        )
        set_by_hand(broker, RAW, 12)
        refused(simulation, machine, "somebody reset the one or the other|begins at offset 13")
        set_by_hand(broker, RAW, 13)
        task = simulation.start_worker(machine).tasks[0].task
        simulation.run_until(lambda: broker.group_offsets == {RAW: 15}, "it has read on")
        assert task.watermark_ms, "with the state that it had"
        assert broker.authors[RAW]
        assert world.broker.log_start(RAW) == 13


def test_the_start_of_the_log_counts_only_as_set_by_hand() -> None:
    """An old answer of a coordinator has the author of the commit that it repeats."""
    with Simulation(seed=5).feed(clicks(10)) as simulation:
        broker = simulation.world.broker
        machine = stopped_when_read(simulation, {RAW: 10})
        broker.append(RAW, (None, b"[]", None))
        broker.delete_below(RAW, 11)
        broker.group_offsets[RAW] = 11  # with the author of the changelog, which has lost its end
        refused(simulation, machine, "somebody reset the one or the other")


def test_a_log_that_ends_below_what_was_read_is_refused() -> None:
    with Simulation(seed=6).feed(clicks(10)) as simulation:
        machine = stopped_when_read(simulation, {RAW: 10})
        del simulation.world.broker.log(RAW)[5:]
        refused(simulation, machine, "ends at offset 5 and has been read up to 10.*kafka.group_id")


def test_an_input_without_offsets_beside_one_with_them_was_recreated() -> None:
    """Brokers delete the group's offsets of a topic with the topic."""
    with Simulation(seed=7, partitions=2).feed(one_misplaced()) as simulation:
        ends = {(RAW_TOPIC, 0): 1, (RAW_TOPIC, 1): 0, (REPARTITION_TOPIC, 0): 0, (REPARTITION_TOPIC, 1): 2}
        machine = stopped_when_read(simulation, ends)
        del simulation.world.broker.group_offsets[RAW_TOPIC, 0]
        refused(
            simulation, machine, r"and none of events.raw: the topic was deleted and recreated.*new group"
        )
