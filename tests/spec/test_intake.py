"""What a task takes from its inputs: its own devices' events stay, others leave, what has arrived stays."""

import pytest
from msgspec import structs

from tests.builders import Record, click, record
from worker import telemetry
from worker.adapters.kafka.records import FetchedRecord
from worker.core.decode import Decoder
from worker.core.partitioner import Partitioning
from worker.model.repartition import RepartitionedRecord
from worker.model.rules import IdentityRules, InputRules
from worker.task.draft import TaskTopics
from worker.task.input_stage import Intake, Taken
from worker.task.misrouting import Misrouting

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


def intake(partition: int = HERE, partitioning: Partitioning = PARTITIONING) -> Intake:
    """The way in of that partition."""
    decoder = Decoder(InputRules(), IdentityRules())
    return Intake(partition, TOPICS, decoder, partitioning, Misrouting(partitioning))


def raw(*devices: str, offset: int = 7) -> Record:
    """A raw record with an event of each device."""
    return record(offset, [click(device) for device in devices], topic="raw", partition=HERE)


def through_the_topic(sent: RepartitionedRecord) -> FetchedRecord:
    return FetchedRecord("g.repartition", sent.partition, 31, 9, sent.key, sent.value, sent.headers)


def devices_in(taken: Taken) -> list[str]:
    return [event.device_id for value in taken.decoded.values for event in value.events]


def test_events_of_the_partitions_own_devices_stay() -> None:
    taken = intake().take([raw(OURS, OURS), raw(OURS, offset=8)])
    assert devices_in(taken) == [OURS, OURS, OURS]
    assert not taken.leaving


def test_events_of_other_partitions_devices_leave_for_theirs() -> None:
    taken = intake().take([raw(OURS, THEIRS)])
    assert devices_in(taken) == [OURS]
    assert [(sent.partition, sent.key) for sent in taken.leaving] == [(THERE, THEIRS.encode())]


def test_where_keys_are_trusted_everything_stays() -> None:
    taken = intake(partitioning=structs.replace(PARTITIONING, repartitions=False)).take([raw(OURS, THEIRS)])
    assert devices_in(taken) == [OURS, THEIRS]
    assert not taken.leaving


def test_what_has_arrived_is_of_the_raw_record_from_which_it_was_sent() -> None:
    first = raw(OURS, THEIRS)
    (sent,) = intake().take([first]).leaving
    taken = intake(THERE).take([through_the_topic(sent)])
    assert devices_in(taken) == [THEIRS]
    (came,) = taken.decoded.records
    assert (came.topic, came.partition, came.offset, came.timestamp) == ("raw", HERE, 7, first.timestamp)


def test_what_is_refused_after_its_way_names_its_place_in_the_raw_batch() -> None:
    (sent,) = intake().take([raw(OURS, THEIRS)]).leaving
    spoilt = structs.replace(sent, value=b"[17]")
    taken = intake(THERE).take([through_the_topic(spoilt)])
    assert [rejection.index for rejection in taken.decoded.values[0].rejections] == [1]


def test_what_has_arrived_at_the_wrong_partition_stays_all_the_same() -> None:
    (sent,) = intake().take([raw(OURS, THEIRS)]).leaving
    taken = intake(HERE).take([through_the_topic(sent)])
    assert devices_in(taken) == [THEIRS]
    assert not taken.leaving


def test_keyed_records_that_the_other_partitioner_would_have_put_here_are_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[telemetry.LogEvent] = []
    monkeypatch.setattr(telemetry, "emit", told.append)
    devices = [d for d in map("d{}".format, range(2_000)) if OTHER.partition_of(d) == HERE]
    way_in = intake()
    way_in.take([record(n, [click(d)], topic="raw", key=d) for n, d in enumerate(devices)])
    assert told == [telemetry.PartitionerMismatch(configured="murmur2", observed="crc32")]
