"""Batches that the client's parser does not read.

Where only header names are no text, all records come. Of damage the place and the reason are reported, once
everything before it has been returned.
"""

import struct

import pytest
from aiokafka import TopicPartition
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from tests.batch_builder import Built, built_batch
from tests.native_parts import READERS, Reader
from worker.adapters.kafka.client_internals.fetcher import PiecewiseFetchResult
from worker.adapters.kafka.decompression import GZIP, ZSTD
from worker.adapters.kafka.fetched_batches import FetchedBatches
from worker.adapters.kafka.records import FetchedRecord, FetchedRecords, UnreadableError

PLACE = TopicPartition("events.raw", 3)
CAFE = bytes.fromhex("636166e9")
GOOD = built_batch(Built(b"one"), Built(b"two"), base_offset=10)


class Chosen:
    """Who reads: every test here runs with each."""

    reader: Reader = FetchedRecords


@pytest.fixture(autouse=True, params=READERS)
def _reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chosen, "reader", READERS[request.param])


class Assigned:
    """The client's position, which nobody moves but what was fetched."""

    active = True
    paused = False

    def __init__(self, position: int) -> None:
        self.position = position

    def state_value(self, _: TopicPartition) -> "Assigned":
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


class Fetch:
    """A fetch that brought these bytes."""

    def __init__(self, answer: bytes, at: int) -> None:
        self.assigned = Assigned(at)
        records = Chosen.reader(PLACE, FetchedBatches(answer), [], at, None, None, True, 1)
        self.result = PiecewiseFetchResult(
            PLACE, partition_records=records, assignment=self.assigned, backoff=0.1
        )

    def records(self) -> list[FetchedRecord]:
        records: list[FetchedRecord] = self.result.getall()
        return records


def unreadable(answer: bytes, at: int = 12) -> str:
    """What is said of it; the client does not move."""
    fetch = Fetch(answer, at)
    with pytest.raises(UnreadableError) as error:
        fetch.records()
    assert (error.value.topic_partition, error.value.offset) == (PLACE, at)
    assert fetch.assigned.position == at
    assert fetch.records() == [], "it is to be fetched again"
    assert f"offset {at} of events.raw/3" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("codec", [0, GZIP, ZSTD])
def test_a_header_name_that_is_not_utf_8_costs_nothing_but_its_bytes(codec: int) -> None:
    batch = built_batch(
        Built(b"one", [(b"ok", b"1"), (CAFE, b"2")]), Built(b"two", []), base_offset=10, codec=codec
    )
    fetch = Fetch(batch + built_batch(Built(b"three"), base_offset=12), 10)
    records = fetch.records()
    assert [(r.offset, r.timestamp, r.key, r.value) for r in records] == [
        (10, 1_000, None, b"one"),
        (11, 1_000, None, b"two"),
        (12, 1_000, None, b"three"),
    ]
    assert records[0].headers == (("ok", b"1"), ("caf\N{REPLACEMENT CHARACTER}", b"2"))
    assert fetch.assigned.position == 13


def test_it_begins_at_the_offset_asked_for_also_in_such_a_batch() -> None:
    batch = built_batch(Built(b"one", [(CAFE, b"")]), Built(b"two"), base_offset=10)
    assert [record.value for record in Fetch(batch, 11).records()] == [b"two"]


def test_what_is_before_damage_is_handed_out_first() -> None:
    damaged = bytearray(built_batch(Built(b"three"), base_offset=12))
    damaged[-1] ^= 1
    fetch = Fetch(GOOD + damaged, 10)
    assert [record.value for record in fetch.records()] == [b"one", b"two"]
    assert fetch.assigned.position == 12
    assert "checksum (CRC)" in unreadable(bytes(damaged))


@pytest.mark.parametrize("codec", [0, GZIP])
@pytest.mark.parametrize(("magic", "time_ms"), [(0, -1), (1, 1_780_000_000_000)])
def test_the_oldest_formats_are_read_and_the_first_of_them_knows_no_time(
    magic: int, time_ms: int, codec: int
) -> None:
    """Topics that were never deleted have such segments still, and brokers hand them out as they are."""
    builder = LegacyRecordBatchBuilder(magic, codec, 10_000)
    for offset in (10, 11):
        builder.append(offset, time_ms if magic else None, None, b"old")
    records = Fetch(bytes(builder.build()), 10).records()
    assert [(record.timestamp, record.value, record.headers) for record in records] == [
        (time_ms, b"old", ())
    ] * 2


def test_an_unknown_format_is_named() -> None:
    assert "magic 3" in unreadable(built_batch(Built(b"x"), base_offset=12, magic=3))


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_an_unknown_codec_is_named(codec: int) -> None:
    assert f"unknown compression codec {codec}" in unreadable(
        built_batch(Built(b"x"), base_offset=12, codec=codec, packed=b"whatever")
    )


@pytest.mark.parametrize("codec", [GZIP, ZSTD])
def test_what_cannot_be_unpacked_is_unreadable(codec: int) -> None:
    unreadable(built_batch(Built(b"x"), base_offset=12, codec=codec, packed=b"no such frame"))


@pytest.mark.parametrize(
    "records",
    [
        b"",
        b"\x10",
        b"\xff" * 30,
        bytes.fromhex("20000001010a") + b"short",
        bytes.fromhex("0e000001010200") + b"and more behind it",
        b"\x02\x00\x00\x00\x01\x01",
    ],
)
def test_records_without_a_form_are_unreadable(records: bytes) -> None:
    unreadable(built_batch(Built(b"x"), base_offset=12, packed=records))


def test_a_batch_longer_than_what_came_is_not_passed_over() -> None:
    batch = bytearray(built_batch(Built(b"x"), base_offset=12))
    struct.pack_into(">i", batch, 8, 2**30)
    assert "of which" in unreadable(bytes(batch))
    fetch = Fetch(GOOD + batch, 10)  # brokers cut the last batch
    assert len(fetch.records()) == 2
    assert fetch.assigned.position == 12


def test_nothing_of_the_content_is_in_the_reason() -> None:
    secret = b"card-4111-1111"
    damaged = built_batch(Built(secret, [(CAFE, secret)]), base_offset=12)[:-3]
    packed = damaged[61:]
    assert "4111" not in unreadable(built_batch(Built(b"x"), base_offset=12, packed=packed))
