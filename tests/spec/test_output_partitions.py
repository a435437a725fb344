"""Outputs follow the raw topic's partitions; one with another number of them is partitioned by device."""

from collections.abc import Sequence

from worker.core.encode import session_key
from worker.core.partitioner import Partitioning
from worker.model.outputs import OutputRecord
from worker.model.state import Meta
from worker.model.topics import Role
from worker.task.draft import Draft
from worker.task.layout import Layout, TaskTopics
from worker.task.output_partitions import OutputPartitions

TOPICS = TaskTopics(
    raw="raw", outputs={"enriched": "e", "dead_letters": "d", "sessions": "s"}, changelog="g.changelog"
)
DEVICES = [f"shop/100%/{number}" for number in range(20)]
IN_THREE = Partitioning(partitions=3)


def draft(role: Role, records: Sequence[OutputRecord]) -> Draft:
    made = Draft(Meta(schema=1, incarnation="", raw_topic="raw", next_offsets={}), 0.0)
    made.add_outputs(role, records)
    return made


def went(counts: dict[str, int], made: Draft) -> list[tuple[str, int, list[bytes | None]]]:
    outputs = OutputPartitions(5, Layout(TOPICS, counts, Partitioning(partitions=8)))
    return [
        (topic, part, [key for key, _, _ in records])
        for topic, part, records in outputs.records_of(made)
        if records
    ]


def test_an_output_with_as_many_partitions_is_written_in_the_tasks_own() -> None:
    keys: list[bytes | None] = [device.encode() for device in DEVICES]
    made = draft("enriched", [(key, b"", None) for key in keys])
    assert went({"raw": 8, "e": 8}, made) == [("e", 5, keys)]


def test_one_with_another_number_is_partitioned_by_device_each_in_its_order() -> None:
    made = draft("enriched", [(device.encode(), b"", None) for device in [*DEVICES, *DEVICES]])
    found = went({"raw": 8, "e": 3}, made)
    assert {part for _, part, _ in found} == {0, 1, 2}
    for _, part, keys in found:
        here = [device.encode() for device in DEVICES if IN_THREE.partition_of(device) == part]
        assert keys == [*here, *here]


def test_a_session_goes_where_its_device_goes() -> None:
    made = draft("sessions", [(session_key(device, "a/b"), b"", None) for device in DEVICES])
    for _, part, keys in went({"raw": 8, "s": 3}, made):
        for key in keys:
            device = next(d for d in DEVICES if session_key(d, "a/b") == key)
            assert IN_THREE.partition_of(device) == part


def test_a_dead_letter_without_a_key_goes_somewhere() -> None:
    made = draft("dead_letters", [(None, b"", None), (b"\xff", b"", None)])
    assert sum(len(keys) for _, _, keys in went({"raw": 8, "d": 1}, made)) == 2
