"""Events of the partition's own devices stay, others are repartitioned, and what has arrived stays."""

from msgspec import structs

from tests.builders import Record, click, record
from worker.adapters.kafka.records import FetchedRecord
from worker.core.decode import Decoder
from worker.core.partitioner import Partitioning
from worker.engine.input_stage import InputBatch, InputStage
from worker.engine.protocol import ENOUGH_KEYS, EngineOptions
from worker.model.events import InputRecord
from worker.model.records import ListedRecords
from worker.model.repartition import RepartitionedRecord
from worker.model.rules import IdentityRules, InputRules, Rules

PARTITIONING = Partitioning(partitions=4)
OTHER = structs.replace(PARTITIONING, partitioner="crc32")
HERE, THERE = 0, 2
OURS, THEIRS = (
    next(d for d in map("d{}".format, range(99)) if PARTITIONING.partition_of(d) == partition)
    for partition in (HERE, THERE)
)


def processed(
    *records: InputRecord, partition: int = HERE, partitioning: Partitioning = PARTITIONING
) -> InputBatch:
    """What the input stage of that partition makes of them."""
    options = EngineOptions(
        partition=partition,
        rules=Rules(),
        partitioning=partitioning,
        output_partitions={},
        repartition_topic="g.repartition",
    )
    stage = InputStage(options, Decoder(InputRules(), IdentityRules()))
    return stage.process(ListedRecords(records), 0, len(records))


def raw(*devices: str, offset: int = 7) -> Record:
    """A raw record with an event of each device."""
    return record(offset, [click(device) for device in devices], topic="raw", partition=HERE)


def through_the_topic(sent: RepartitionedRecord) -> FetchedRecord:
    return FetchedRecord("g.repartition", sent.partition, 31, 9, sent.key, sent.value, sent.headers)


def devices_in(batch: InputBatch) -> list[str]:
    return [event.device_id for value in batch.decoded.values for event in value.events]


def test_events_of_the_partitions_own_devices_stay() -> None:
    batch = processed(raw(OURS, OURS), raw(OURS, offset=8))
    assert devices_in(batch) == [OURS, OURS, OURS]
    assert not batch.to_repartition


def test_events_of_other_partitions_devices_are_repartitioned() -> None:
    batch = processed(raw(OURS, THEIRS))
    assert devices_in(batch) == [OURS]
    assert [(sent.partition, sent.key) for sent in batch.to_repartition] == [(THERE, THEIRS.encode())]


def test_where_keys_are_trusted_everything_stays() -> None:
    batch = processed(raw(OURS, THEIRS), partitioning=structs.replace(PARTITIONING, repartitions=False))
    assert devices_in(batch) == [OURS, THEIRS]
    assert not batch.to_repartition


def test_what_has_arrived_is_of_the_raw_record_from_which_it_was_sent() -> None:
    first = raw(OURS, THEIRS)
    (sent,) = processed(first).to_repartition
    batch = processed(through_the_topic(sent), partition=THERE)
    assert devices_in(batch) == [THEIRS]
    (came,) = batch.decoded.records
    assert (came.topic, came.partition, came.offset, came.timestamp) == ("raw", HERE, 7, first.timestamp)


def test_what_is_refused_after_repartitioning_names_its_place_in_the_raw_batch() -> None:
    (sent,) = processed(raw(OURS, THEIRS)).to_repartition
    spoilt = structs.replace(sent, value=b"[17]")
    batch = processed(through_the_topic(spoilt), partition=THERE)
    assert [rejection.index for rejection in batch.decoded.values[0].rejections] == [1]


def test_what_has_arrived_at_the_wrong_partition_stays_there() -> None:
    (sent,) = processed(raw(OURS, THEIRS)).to_repartition
    batch = processed(through_the_topic(sent))
    assert devices_in(batch) == [THEIRS]
    assert not batch.to_repartition


def test_keyed_records_that_the_other_partitioner_would_have_put_here_are_counted_up_to_what_is_enough() -> (
    None
):
    devices = [d for d in map("d{}".format, range(4_000)) if OTHER.partition_of(d) == HERE]
    records = [record(n, [click(d)], topic="raw", key=d) for n, d in enumerate(devices)]
    batch = processed(*records)
    assert (batch.misplaced_keys, batch.explained_keys) == (ENOUGH_KEYS, ENOUGH_KEYS)
    assert not processed(record(0, [click(THEIRS)], topic="raw", key="shop")).misplaced_keys
