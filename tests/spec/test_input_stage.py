"""Events of the partition's own devices stay, others are repartitioned, and what has arrived stays."""

import pytest
from msgspec import structs

from tests.builders import Record, click, record
from worker import telemetry
from worker.adapters.kafka.records import FetchedRecord
from worker.core.decode import Decoder
from worker.core.partitioner import Partitioning
from worker.model.repartition import RepartitionedRecord
from worker.model.rules import IdentityRules, InputRules
from worker.task.input_stage import InputBatch, InputStage, PartitionerCheck
from worker.task.layout import Layout, TaskTopics

TOPICS = TaskTopics(
    raw="raw",
    repartition="g.repartition",
    outputs={},
    changelog="g.changelog",
)
PARTITIONING = Partitioning(partitions=4)
OTHER = structs.replace(PARTITIONING, partitioner="crc32")
HERE, THERE = 0, 2
OURS, THEIRS = (
    next(d for d in map("d{}".format, range(99)) if PARTITIONING.partition_of(d) == partition)
    for partition in (HERE, THERE)
)


def stage(partition: int = HERE, partitioning: Partitioning = PARTITIONING) -> InputStage:
    """The input stage of that partition."""
    decoder = Decoder(InputRules(), IdentityRules())
    layout = Layout(TOPICS, {}, partitioning)
    return InputStage(partition, layout, decoder, PartitionerCheck(partitioning))


def raw(*devices: str, offset: int = 7) -> Record:
    """A raw record with an event of each device."""
    return record(offset, [click(device) for device in devices], topic="raw", partition=HERE)


def through_the_topic(sent: RepartitionedRecord) -> FetchedRecord:
    return FetchedRecord("g.repartition", sent.partition, 31, 9, sent.key, sent.value, sent.headers)


def devices_in(batch: InputBatch) -> list[str]:
    return [event.device_id for value in batch.decoded.values for event in value.events]


def test_events_of_the_partitions_own_devices_stay() -> None:
    batch = stage().process([raw(OURS, OURS), raw(OURS, offset=8)])
    assert devices_in(batch) == [OURS, OURS, OURS]
    assert not batch.to_repartition


def test_events_of_other_partitions_devices_are_repartitioned() -> None:
    batch = stage().process([raw(OURS, THEIRS)])
    assert devices_in(batch) == [OURS]
    assert [(sent.partition, sent.key) for sent in batch.to_repartition] == [(THERE, THEIRS.encode())]


def test_where_keys_are_trusted_everything_stays() -> None:
    batch = stage(partitioning=structs.replace(PARTITIONING, repartitions=False)).process([raw(OURS, THEIRS)])
    assert devices_in(batch) == [OURS, THEIRS]
    assert not batch.to_repartition


def test_what_has_arrived_is_of_the_raw_record_from_which_it_was_sent() -> None:
    first = raw(OURS, THEIRS)
    (sent,) = stage().process([first]).to_repartition
    batch = stage(THERE).process([through_the_topic(sent)])
    assert devices_in(batch) == [THEIRS]
    (came,) = batch.decoded.records
    assert (came.topic, came.partition, came.offset, came.timestamp) == ("raw", HERE, 7, first.timestamp)


def test_what_is_refused_after_repartitioning_names_its_place_in_the_raw_batch() -> None:
    (sent,) = stage().process([raw(OURS, THEIRS)]).to_repartition
    spoilt = structs.replace(sent, value=b"[17]")
    batch = stage(THERE).process([through_the_topic(spoilt)])
    assert [rejection.index for rejection in batch.decoded.values[0].rejections] == [1]


def test_what_has_arrived_at_the_wrong_partition_stays_there() -> None:
    (sent,) = stage().process([raw(OURS, THEIRS)]).to_repartition
    batch = stage(HERE).process([through_the_topic(sent)])
    assert devices_in(batch) == [THEIRS]
    assert not batch.to_repartition


def test_keyed_records_that_the_other_partitioner_would_have_put_here_are_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[telemetry.LogEvent] = []
    monkeypatch.setattr(telemetry, "emit", logged.append)
    devices = [d for d in map("d{}".format, range(2_000)) if OTHER.partition_of(d) == HERE]
    stage().process([record(n, [click(d)], topic="raw", key=d) for n, d in enumerate(devices)])
    assert logged == [telemetry.PartitionerMismatch(configured="murmur2", observed="crc32")]
