"""An event goes to the partition of its device, in the sender's own bytes; nothing is lost between them."""

from typing import Any

import pytest
from msgspec import json, structs

from tests.builders import RawEvent, Record, click
from tests.record_times import RECORD_TIMES_MS
from worker.adapters.kafka.records import FetchedRecord
from worker.core.decode import Decoder
from worker.core.partitioner import Partitioning
from worker.core.pipeline import DecodedRecords, decode_records
from worker.core.repartition import (
    arrived,
    divide,
    misplaced_devices,
    origin_timestamps_ms,
    with_origin_indexes,
)
from worker.model.events import InputRecord
from worker.model.repartition import ArrivedRecord, RepartitionedRecord
from worker.model.rules import IdentityRules, InputRules

DECODER = Decoder(InputRules(), IdentityRules())
PARTITIONING = Partitioning(partitions=4)
HERE = PARTITIONING.partition_of("here")
ELSEWHERE = next(f"d{n}" for n in range(99) if PARTITIONING.partition_of(f"d{n}") != HERE)
FAR = next(
    f"d{n}"
    for n in range(99)
    if PARTITIONING.partition_of(f"d{n}") not in (HERE, PARTITIONING.partition_of(ELSEWHERE))
)

ORIGIN = [
    ("origin-topic", b"events.raw"),
    ("origin-partition", b"3"),
    ("origin-offset", b"7"),
    ("origin-timestamp", b"1772445600000"),
]


def raw(value: Any, offset: int = 7, key: bytes | None = None) -> Record:
    text = value if isinstance(value, bytes) else json.encode(value)
    return Record("events.raw", HERE, offset, 1_772_445_600_000, key, text)


def divided(*records: Record) -> tuple[DecodedRecords, list[RepartitionedRecord]]:
    decoded = decode_records(records, DECODER)
    misplaced = misplaced_devices(decoded.device_ids, HERE, PARTITIONING.partition_of)
    return divide(decoded, misplaced, PARTITIONING.partition_of, DECODER.elements)


def through_the_topic(record: RepartitionedRecord, offset: int = 0) -> FetchedRecord:
    appended_ms = 1_772_999_999_999  # LogAppendTime
    return FetchedRecord(
        "g.repartition", record.partition, offset, appended_ms, record.key, record.value, record.headers
    )


def ids(decoded: DecodedRecords) -> list[str]:
    return [event.id for value in decoded.values for event in value.events]


def test_events_of_devices_that_belong_here_stay() -> None:
    stay, leave = divided(raw([click("here", id="a"), click("here", id="b")]))
    assert ids(stay) == ["a", "b"]
    assert leave == []


def test_a_batch_of_one_misplaced_device_travels_as_it_was_sent() -> None:
    value = b' [ {"id": "a", "type":"x","device_id":"%b","timestamp":1772445600000,"data":{"n":1.0}} ]\n'
    sent = value % ELSEWHERE.encode()
    stay, (leaving,) = divided(raw(sent))
    assert ids(stay) == []
    assert leaving.value == sent
    assert leaving.partition == PARTITIONING.partition_of(ELSEWHERE)
    assert leaving.key == ELSEWHERE.encode()


def test_a_mixed_batch_is_parted_by_partition_and_each_part_keeps_its_order() -> None:
    batch = [
        click("here", id="a"),
        click(ELSEWHERE, id="b"),
        click(FAR, id="c"),
        click("here", id="d"),
        click(ELSEWHERE, id="e"),
    ]
    stay, leave = divided(raw(batch))
    assert ids(stay) == ["a", "d"]
    by_partition = {
        record.partition: [event["id"] for event in json.decode(record.value)] for record in leave
    }
    assert by_partition == {
        PARTITIONING.partition_of(ELSEWHERE): ["b", "e"],
        PARTITIONING.partition_of(FAR): ["c"],
    }
    assert stay.device_ids == {"here"}


def test_the_bytes_of_an_event_are_the_senders_own() -> None:
    event = (
        b'{"id":"b","type":"x", "device_id":"%b","timestamp":1772445600000,"data":{"n":1.0,"s":"\\u00e9"}}'
    )
    sent = event % ELSEWHERE.encode()
    _, (leaving,) = divided(raw(b"[" + json.encode(click("here", id="a")) + b" , " + sent + b" ]"))
    assert leaving.value == b"[" + sent + b"]"


def test_a_refused_event_stays_where_it_was_found() -> None:
    stay, (leaving,) = divided(raw([17, click(ELSEWHERE, id="b"), {"id": "c"}]))
    assert [rejection.index for rejection in stay.values[0].rejections] == [0, 2]
    assert [event["id"] for event in json.decode(leaving.value)] == ["b"]


def test_what_arrives_has_the_place_and_time_of_the_raw_record() -> None:
    _, (leaving,) = divided(raw([click("here", id="a"), click(ELSEWHERE, id="b")], offset=7))
    record = arrived(through_the_topic(leaving))
    assert (record.topic, record.partition, record.offset) == ("events.raw", HERE, 7)
    assert record.timestamp == 1_772_445_600_000
    assert ids(decode_records([record], DECODER)) == ["b"]
    assert origin_timestamps_ms([through_the_topic(leaving)]) == [1_772_445_600_000]


def test_an_event_that_is_refused_after_its_way_names_its_place_in_the_raw_batch() -> None:
    _, (leaving,) = divided(raw([click("here"), click(ELSEWHERE), click(ELSEWHERE, id="b" * 100)]))
    strict = Decoder(InputRules(max_text_bytes=64), IdentityRules())
    decoded = with_origin_indexes(decode_records([arrived(through_the_topic(leaving))], strict))
    assert [rejection.index for rejection in decoded.values[0].rejections] == [2]


def test_places_are_put_right_also_where_other_values_have_nothing_refused() -> None:
    _, leave = divided(raw([click("here"), click(ELSEWHERE)]), raw([click("here"), click(ELSEWHERE), {}], 8))
    fine, other = (through_the_topic(record) for record in leave)
    spoilt = structs.replace(other, value=b"[17]")
    decoded = with_origin_indexes(decode_records([arrived(fine), arrived(spoilt)], DECODER))
    assert [[rejection.index for rejection in value.rejections] for value in decoded.values] == [[], [1]]


@pytest.mark.parametrize("beside", [[], [click("here")]])
def test_the_key_is_the_first_device_that_leaves(beside: list[RawEvent]) -> None:
    there = PARTITIONING.partition_of(ELSEWHERE)
    other = next(f"o{n}" for n in range(99) if PARTITIONING.partition_of(f"o{n}") == there)
    _, (leaving,) = divided(raw([*beside, click(ELSEWHERE), click(other)]))
    assert (leaving.key, leaving.events) == (ELSEWHERE.encode(), 2)


def test_a_whole_batch_keeps_the_places_that_it_has() -> None:
    _, (leaving,) = divided(raw([click(ELSEWHERE), click(ELSEWHERE, id="b" * 100)]))
    strict = Decoder(InputRules(max_text_bytes=64), IdentityRules())
    decoded = with_origin_indexes(decode_records([arrived(through_the_topic(leaving))], strict))
    assert [rejection.index for rejection in decoded.values[0].rejections] == [1]


@pytest.mark.parametrize(
    ("value", "index"),
    [
        pytest.param(b"no json", None, id="all of it is refused"),
        pytest.param(b"[{}, {}]", 9, id="more is in it than its header names"),
    ],
)
def test_a_value_that_is_not_what_was_sent_is_refused_as_it_came(value: bytes, index: int | None) -> None:
    came = arrived(
        through_the_topic(RepartitionedRecord(1, b"d1", value, [*ORIGIN, ("origin-index", b"9")], 1))
    )
    decoded = with_origin_indexes(decode_records([came], DECODER))
    assert decoded.values[0].rejections[0].index == index
    assert [rejection.index for rejection in decoded.values[0].rejections[1:]] == (
        [] if index is None else [1]
    )


def test_what_somebody_else_put_into_the_topic_is_refused_at_its_own_place() -> None:
    somebodys = FetchedRecord(
        "g.repartition", 1, 5, 1_772_445_600_000, None, json.encode([click("d1"), 17]), []
    )
    decoded = with_origin_indexes(decode_records([arrived(somebodys)], DECODER))
    assert [rejection.index for rejection in decoded.values[0].rejections] == [1]


def test_values_without_events_stay_beside_those_that_are_parted() -> None:
    tombstone = Record("events.raw", HERE, 8, 1_772_445_600_000, None, None)
    stay, leave = divided(raw([click(ELSEWHERE)]), tombstone, raw(b"no json", offset=9))
    assert [len(value.rejections) for value in stay.values] == [0, 1, 1]
    assert len(leave) == 1


def test_a_time_of_origin_that_is_no_number_is_not_believed() -> None:
    odd = FetchedRecord(
        "g.repartition", 1, 5, 1_772_445_600_000, None, b"[]", [("origin-timestamp", b"noon")]
    )
    assert origin_timestamps_ms([odd]) == [1_772_445_600_000]


COMPLETE: dict[str, Any] = {
    "origin-topic": b"raw",
    "origin-partition": b"1",
    "origin-offset": b"2",
    "origin-timestamp": b"-1",
    "origin-index": b"0",
}


def test_headers_that_say_all_are_believed() -> None:
    sent = FetchedRecord("g.repartition", 1, 5, 1_772_445_600_000, None, b"[]", list(COMPLETE.items()))
    assert isinstance(arrived(sent), ArrivedRecord)


@pytest.mark.parametrize("time_ms", RECORD_TIMES_MS)
def test_every_time_that_a_raw_record_can_have_arrives(time_ms: int) -> None:
    """Producers write it, and brokers check it only where topics say so."""
    value = json.encode([click(ELSEWHERE)])
    for other in (value, json.encode([click("here"), click(ELSEWHERE)])):
        _, (leaving,) = divided(Record("events.raw", HERE, 7, time_ms, None, other))
        came = through_the_topic(leaving)
        record = arrived(came)
        assert isinstance(record, ArrivedRecord)
        assert (record.timestamp, origin_timestamps_ms([came])) == (time_ms, [time_ms])


def without(name: str) -> dict[str, Any]:
    return {other: value for other, value in COMPLETE.items() if other != name}


def with_(name: str, value: bytes | None) -> dict[str, Any]:
    return {**COMPLETE, name: value}


REQUIRED = list(COMPLETE)[:4]
NUMBERS = list(COMPLETE)[1:]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        *(without(name) for name in REQUIRED),
        *(with_(name, None) for name in COMPLETE),
        *(with_(name, b"\xff") for name in COMPLETE),
        *(with_(name, b"9" * 30) for name in NUMBERS),
        with_("origin-timestamp", b"9223372036854775808"),
        with_("origin-timestamp", b"-9223372036854775809"),
        with_("origin-timestamp", b"-"),
        with_("origin-timestamp", b"--1"),
        with_("origin-timestamp", b"+1"),
        with_("origin-partition", b"-1"),
        with_("origin-offset", b"9223372036854775808"),
        with_("origin-index", b"1,-2"),
    ],
)
def test_what_somebody_else_put_into_the_topic_is_taken_as_it_is(headers: dict[str, Any]) -> None:
    other = FetchedRecord(
        "g.repartition", 1, 5, 1_772_445_600_000, None, json.encode([click("d1")]), list(headers.items())
    )
    record: InputRecord = arrived(other)
    assert not isinstance(record, ArrivedRecord)
    assert (record.topic, record.offset) == ("g.repartition", 5)
