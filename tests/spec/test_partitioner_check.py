"""A wrong input.partitioner is logged once; producers that do not use keys are not blamed for it."""

import random
from collections.abc import Iterable

import pytest

from tests.builders import click, record
from worker import telemetry
from worker.core.decode import Decoder
from worker.core.partitioner import Partitioning
from worker.core.pipeline import decode_records
from worker.core.repartition import misplaced_devices
from worker.engine.input_stage import MisplacedKeys
from worker.model.rules import IdentityRules, InputRules
from worker.task.partitioner_check import PartitionerCheck

CONFIGURED = Partitioning(partitions=4, partitioner="murmur2")
OTHER = Partitioning(partitions=4, partitioner="crc32")
DECODER = Decoder(InputRules(), IdentityRules())


MISPLACED = [
    d for d in map("d{}".format, range(1_000)) if OTHER.partition_of(d) != CONFIGURED.partition_of(d)
]


def logged_after(
    records: Iterable[tuple[str, str | None, int]],
    monkeypatch: pytest.MonkeyPatch,
    configured: Partitioning = CONFIGURED,
) -> list[telemetry.LogEvent]:
    """What is logged after records of (device, key, partition)."""
    logged: list[telemetry.LogEvent] = []
    monkeypatch.setattr(telemetry, "emit", logged.append)
    check = PartitionerCheck(configured)
    for offset, (device_id, key, partition) in enumerate(records):
        raw = record(offset, [click(device_id)], key=key, partition=partition)
        decoded = decode_records([raw], DECODER)
        misplaced = misplaced_devices(decoded.device_ids, partition, configured.partition_of)
        if misplaced:
            check.add(*MisplacedKeys(partition, configured).count(decoded, misplaced))
    return logged


def test_producers_with_the_other_partitioner_are_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [f"d{number}" for number in range(1_000)]
    (logged,) = logged_after(((d, d, OTHER.partition_of(d)) for d in devices), monkeypatch)
    assert logged == telemetry.PartitionerMismatch(configured="murmur2", observed="crc32")


def test_devices_in_partitions_at_random_are_not_the_partitioners_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(1)
    devices = [f"d{number}" for number in range(1_000)]
    assert logged_after(((d, d, rng.randrange(4)) for d in devices), monkeypatch) == []


def test_records_without_the_device_as_key_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [f"d{number}" for number in range(1_000)]
    assert logged_after(((d, None, OTHER.partition_of(d)) for d in devices), monkeypatch) == []


def test_records_with_another_key_than_the_device_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert logged_after(((d, "shop", OTHER.partition_of(d)) for d in MISPLACED), monkeypatch) == []


def test_two_hundred_records_are_enough_to_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [(d, d, OTHER.partition_of(d)) for d in MISPLACED[:200]]
    assert logged_after(records[:199], monkeypatch) == []
    assert len(logged_after(records, monkeypatch)) == 1


@pytest.mark.parametrize(("explained", "times_logged"), [(190, 1), (189, 0)])
def test_nineteen_of_twenty_must_be_where_the_other_partitioner_would_have_put_them(
    monkeypatch: pytest.MonkeyPatch, explained: int, times_logged: int
) -> None:
    records: list[tuple[str, str | None, int]] = [
        (d, d, OTHER.partition_of(d)) for d in MISPLACED[:explained]
    ]
    for d in MISPLACED[explained:200]:
        neither = {0, 1, 2, 3} - {OTHER.partition_of(d), CONFIGURED.partition_of(d)}
        records.append((d, d, min(neither)))
    assert len(logged_after(records, monkeypatch)) == times_logged


def test_a_raw_topic_of_two_partitions_can_be_misread_too(monkeypatch: pytest.MonkeyPatch) -> None:
    of_two, others = (Partitioning(partitions=2, partitioner=p.partitioner) for p in (CONFIGURED, OTHER))
    devices = [f"d{number}" for number in range(1_000)]
    assert len(logged_after(((d, d, others.partition_of(d)) for d in devices), monkeypatch, of_two)) == 1


def test_records_that_came_where_they_belong_and_refused_ones_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[telemetry.LogEvent] = []
    monkeypatch.setattr(telemetry, "emit", logged.append)
    at_home = [d for d in map("d{}".format, range(2_000)) if CONFIGURED.partition_of(d) == 0]
    strays = [d for d in map("d{}".format, range(2_000)) if OTHER.partition_of(d) == 0 and d not in at_home]
    records = [record(n, [click(d)], key=d) for n, d in enumerate([*at_home[:200], *strays[:200]])]
    decoded = decode_records([*records, record(400, b"broken", key="d1")], DECODER)
    misplaced = misplaced_devices(decoded.device_ids, 0, CONFIGURED.partition_of)
    PartitionerCheck(CONFIGURED).add(*MisplacedKeys(0, CONFIGURED).count(decoded, misplaced))
    assert len(logged) == 1


def test_a_batch_of_several_devices_goes_by_the_first_as_its_key_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[telemetry.LogEvent] = []
    monkeypatch.setattr(telemetry, "emit", logged.append)
    strays = [d for d in MISPLACED if OTHER.partition_of(d) == 0]
    records = [record(n, [click(first), click(strays[-1])], key=first) for n, first in enumerate(strays)]
    check = PartitionerCheck(CONFIGURED)
    for _ in range(3):
        check.add(*MisplacedKeys(0, CONFIGURED).count(decode_records(records, DECODER), frozenset(strays)))
    assert len(logged) == 1
