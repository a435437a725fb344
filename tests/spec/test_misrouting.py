"""A wrong input.partitioner is told once; producers that do not care for keys are not blamed for it."""

import random
from collections.abc import Iterable

import pytest

from tests.builders import click, record
from worker import telemetry
from worker.core.decode import Decoder
from worker.core.partitioning import Partitioning
from worker.core.pipeline import decode_records
from worker.core.rekeying import foreign_devices
from worker.model.rules import IdentityRules, InputRules
from worker.task.misrouting import Misrouting

CONFIGURED = Partitioning(partitions=4, partitioner="murmur2")
OTHER = Partitioning(partitions=4, partitioner="crc32")
DECODER = Decoder(InputRules(), IdentityRules())


def told_after(
    records: Iterable[tuple[str, str | None, int]], monkeypatch: pytest.MonkeyPatch
) -> list[telemetry.LogEvent]:
    """What is logged after records of (device, key, partition)."""
    told: list[telemetry.LogEvent] = []
    monkeypatch.setattr(telemetry, "emit", told.append)
    misrouting = Misrouting(CONFIGURED)
    for offset, (device_id, key, partition) in enumerate(records):
        raw = record(offset, [click(device_id)], key=key, partition=partition)
        decoded = decode_records([raw], DECODER)
        foreign = foreign_devices(decoded.device_ids, partition, CONFIGURED.partition_of)
        if foreign:
            misrouting.look_at(decoded, foreign, partition)
    return told


def test_producers_with_the_other_partitioner_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [f"d{number}" for number in range(1_000)]
    (told,) = told_after(((d, d, OTHER.partition_of(d)) for d in devices), monkeypatch)
    assert told == telemetry.PartitionerMismatch(partitioner="murmur2", producers="crc32")


def test_devices_in_partitions_at_random_are_not_the_partitioners_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(1)
    devices = [f"d{number}" for number in range(1_000)]
    assert told_after(((d, d, rng.randrange(4)) for d in devices), monkeypatch) == []


def test_records_without_the_device_as_key_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [f"d{number}" for number in range(1_000)]
    assert told_after(((d, None, OTHER.partition_of(d)) for d in devices), monkeypatch) == []
