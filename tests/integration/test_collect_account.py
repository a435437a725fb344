"""The account of a fault run finds each breach of a promise, and allows what the answers leave open."""

from collections.abc import Iterator, Sequence

import pytest
from aiokafka import ConsumerRecord
from msgspec import json

from tests.chaos.collect_account import Account, account
from tests.chaos.collect_bodies import FAIR, RUDE, Origin, Shipment, shipment
from tests.chaos.collect_journal import Answered, Line, Lost, Sent
from worker.core.partitioner import Partitioning

PARTITIONS = 4
RECEIVED_AT = 1_764_000_000_000
partition_of = Partitioning(partitions=PARTITIONS).partition_of


def requests(sender: str = "fair0") -> Iterator[Shipment]:
    """Those of one device and more than one event, all fine, that are sent once and as they are."""
    ways = RUDE if sender.startswith("rude") else FAIR
    for number in range(1, 10_000):
        one = shipment(Origin(sender, number), ways)
        devices = {device_of(element) for element in one.elements}
        if len(one.good) == len(one.elements) > 1 == len(devices) and not one.cut and not one.key:
            yield one


def device_of(element: bytes) -> str:
    return str(json.decode(element).get("device_id", ""))


def record(one: Shipment, offset: int, places: Sequence[int] | None = None) -> ConsumerRecord:
    """The record of one device's request, or of some of its elements."""
    elements = [one.elements[place] for place in (range(len(one.elements)) if places is None else places)]
    device = device_of(elements[0])
    return ConsumerRecord(
        topic="raw",
        partition=partition_of(device),
        offset=offset,
        timestamp=RECEIVED_AT,
        timestamp_type=0,
        key=device.encode(),
        value=b"[" + b",".join(elements) + b"]",
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=(),
    )


def answered(one: Shipment, status: int = 200, **members: object) -> list[Line]:
    if status == 200:
        members = {"accepted": len(one.good), "refused": [], "received_at": RECEIVED_AT, **members}
    body = json.encode(members).decode()
    return [Sent(one.origin, 1, one.way, 0.0), Answered(one.origin, 1, status, body, 0.1, 0.1)]


def lost(one: Shipment, because: str) -> list[Line]:
    return [Sent(one.origin, 1, one.way, 0.0), Lost(one.origin, 1, because, 0.1)]  # type: ignore[arg-type]


def found(lines: Sequence[Line], records: Sequence[ConsumerRecord] = ()) -> Account:
    by_partition: dict[int, list[ConsumerRecord]] = {number: [] for number in range(PARTITIONS)}
    for one in records:
        by_partition[one.partition].append(one)
    sender = lines[0].origin.sender
    ways = {sender: RUDE if sender.startswith("rude") else FAIR}
    return account({sender: list(lines)}, ways, by_partition)


def first(sender: str, way: str, after: int = 0) -> Shipment:
    return next(each for each in requests(sender) if each.way == way and each.origin.number > after)


one, other = first("fair0", "waits"), first("fair0", "waits", 99)
unfinished, gone = first("rude0", "hangs up"), first("rude0", "leaves")
NOT_THERE = "nothing answered as not stored is there"


def test_what_was_answered_200_and_is_there_once_is_fine() -> None:
    account = found([*answered(one), *answered(other)], [record(one, 0), record(other, 1)])
    assert account.broken == []
    assert account.counts["events answered 200"] == len(one.elements) + len(other.elements)


@pytest.mark.parametrize(
    ("lines", "records", "promise"),
    [
        (answered(one), [], "nothing answered as stored is missing"),
        (answered(one), [record(one, 0, [0])], "nothing answered as stored is missing"),
        (answered(one), [record(one, 0), record(one, 1)], "nothing is stored more often than it was sent"),
        (
            answered(one, 503, error="not_acknowledged", retry=list(one.good), refused=[]),
            [record(one, 0), record(one, 1)],
            "nothing is stored more often than it was sent",
        ),
        (
            answered(one, 503, error="unavailable"),
            [record(one, 0)],
            NOT_THERE,
        ),
        (
            answered(one, 401, error="unauthorized"),
            [record(one, 0)],
            NOT_THERE,
        ),
        (lost(one, "not connected"), [record(one, 0)], NOT_THERE),
        (lost(unfinished, "left"), [record(unfinished, 0)], NOT_THERE),
        (
            [*answered(one), *answered(one_again := shipment(Origin("fair0", one.origin.number, 1), FAIR))],
            [record(one, 5), record(one_again, 4)],
            "a sender's order is kept",
        ),
        (answered(one, received_at=RECEIVED_AT + 1), [record(one, 0)], "a record has the time"),
        (answered(one, 500, error="internal"), [], "every answer is one of the contract"),
        (answered(one, accepted=1), [record(one, 0)], "accepted and refused are the elements sent"),
        (answered(one, 503, error="partly_stored", stored=[0], retry=[1]), [], "nothing answered as stored"),
        (lost(one, "no answer"), [], "an answer comes in time"),
    ],
)
def test_a_breach_is_found(lines: list[Line], records: list[ConsumerRecord], promise: str) -> None:
    breaches = found(lines, records).broken
    assert breaches
    assert all(breach.startswith(promise) for breach in breaches), breaches


@pytest.mark.parametrize("copies", [0, 1])
@pytest.mark.parametrize(
    "lines",
    [
        lost(one, "cut"),
        lost(gone, "left"),
        answered(one, 503, error="not_acknowledged", retry=list(one.good), refused=[]),
        [Sent(one.origin, 1, one.way, 0.0)],
    ],
)
def test_what_an_answer_leaves_open_is_allowed_and_counted(lines: list[Line], copies: int) -> None:
    sent = one if lines[0].origin == one.origin else gone
    account = found(lines, [record(sent, 0)] * copies)
    assert account.broken == []
    (stored,) = (what for what in account.counts if what.endswith(" stored") and what.startswith("in doubt"))
    assert stored.endswith(": all stored" if copies else ": none stored")


def test_a_key_is_stored_once_where_it_was_sent_again_on_the_connection_of_its_answer() -> None:
    again: list[Line] = [
        Sent(one.origin, 2, one.way, 0.2, again=True),
        Answered(one.origin, 2, 200, answered(one)[1].body, 0.3, 0.1),  # type: ignore[union-attr]
    ]
    assert found([*answered(one), *again], [record(one, 0)]).broken == []
    (breach,) = {b.partition(":")[0] for b in found([*answered(one), *again], [record(one, 0)] * 2).broken}
    assert breach == "nothing is stored more often than it was sent"


def test_bytes_that_nobody_sent_are_found_and_so_is_a_record_of_another_device() -> None:
    forged = record(one, 0)
    forged.value = forged.value.replace(b"page_view", b"page_veiw", 1)
    assert any("other bytes" in breach for breach in found(answered(one), [forged]).broken)
    elsewhere = record(one, 0)
    elsewhere.key = b"fair0-d99"
    assert any(b.startswith("a record is its device's") for b in found(answered(one), [elsewhere]).broken)
