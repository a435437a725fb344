"""Outputs follow the raw topic's partitions; one with another number of them is partitioned by device."""

from collections.abc import Sequence

from worker.core.encode import session_key
from worker.core.partitioner import Partitioning
from worker.engine.output_partitions import OutputPartitions
from worker.model.outputs import OutputRecord
from worker.model.topics import Role

DEVICES = [f"shop/100%/{number}" for number in range(20)]
IN_THREE = Partitioning(partitions=3)


def went(role: Role, count: int, records: Sequence[OutputRecord]) -> list[tuple[int, list[bytes | None]]]:
    """(partition, keys) of what a task of partition 5 of 8 publishes, the output having ``count``."""
    outputs = OutputPartitions(5, Partitioning(partitions=8), {role: count})
    return [(part.partition, [key for key, _, _ in part]) for part in outputs.parts(role, records)]


def test_an_output_with_as_many_partitions_is_written_in_the_tasks_own() -> None:
    keys: list[bytes | None] = [device.encode() for device in DEVICES]
    assert went("enriched", 8, [(key, b"", None) for key in keys]) == [(5, keys)]


def test_one_with_another_number_is_partitioned_by_device_each_in_its_order() -> None:
    found = went("enriched", 3, [(device.encode(), b"", None) for device in [*DEVICES, *DEVICES]])
    assert {part for part, _ in found} == {0, 1, 2}
    for part, keys in found:
        here = [device.encode() for device in DEVICES if IN_THREE.partition_of(device) == part]
        assert keys == [*here, *here]


def test_a_session_goes_where_its_device_goes() -> None:
    records: list[OutputRecord] = [(session_key(device, "a/b"), b"", None) for device in DEVICES]
    for part, keys in went("sessions", 3, records):
        for key in keys:
            device = next(d for d in DEVICES if session_key(d, "a/b") == key)
            assert IN_THREE.partition_of(device) == part


def test_a_dead_letter_without_a_key_goes_somewhere() -> None:
    assert went("dead_letters", 1, [(None, b"", None), (b"\xff", b"", None)]) == [(0, [None, b"\xff"])]
