"""What the raw topic must hold after a fault run, by the senders' journals alone; and what it holds.

Decides what each answer promises. It reads topic and journals and never asks the collector. Invariants: each
copy of an element in the topic is counted for the request that it came with; whatever no answer excludes is
allowed, and counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Raw, json

from tests.chaos.collect_bodies import FAIR, RUDE, Origin, Shipment, read_element, shipment
from tests.chaos.collect_journal import Answered, Line, Lost, Sent, read_journal
from worker.core.partitioner import Partitioning

_STATUSES = {"no key": 401, "bad http": 400, "bomb": 413, "too large": 413, "stalls": 408}
"""Way of a sender -> the only answer that it may get, besides a 503."""

_NOTHING_STORED = ("overloaded", "unavailable", "draining")
_SHOWN = 20
_read_elements = json.Decoder(list[Raw]).decode
Element = tuple[Origin, int]


@dataclass
class Account:
    """What was found. ``broken``: breaches of promises, none where all hold; ``counts``: what happened."""

    broken: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    longest_wait_s: float = 0.0
    breaches: Counter[str] = field(default_factory=Counter)

    def breach(self, promise: str, text: str) -> None:
        """Note a breach; of many of the same promise only the first are worded."""
        self.breaches[promise] += 1
        if self.breaches[promise] <= _SHOWN:
            self.broken.append(f"{promise}: {text}")


@dataclass
class _Allowed:
    """How many copies there must be and may be."""

    least: int = 0
    most: int = 0


class _Promises:
    """What the answers of all senders promise, element by element."""

    def __init__(self, account: Account, ways: Mapping[str, dict[str, int]]) -> None:
        self._account = account
        self._ways = ways
        self.allowed: dict[Element, _Allowed] = {}
        self.unproven: list[tuple[str, list[Element]]] = []
        """Requests of which nobody knows whether they are stored: why, and their elements."""
        self.stored: list[tuple[Origin, list[int], int | None]] = []
        """In the order of each sender: what was answered 200, and the time in the answer."""

    def take(self, lines: Iterable[Line]) -> None:
        """Those of one sender."""
        under_way: Sent | None = None
        for line in lines:
            if isinstance(line, Sent):
                under_way = line
                continue
            assert under_way is not None
            assert (line.origin, line.send) == (under_way.origin, under_way.send)
            self._take(under_way, line)
            under_way = None
        if under_way is not None:  # the sender was killed
            self._take(under_way, None)

    def shipment(self, origin: Origin) -> Shipment:
        return shipment(origin, self._ways[origin.sender])

    def _take(self, sent: Sent, end: Answered | Lost | None) -> None:
        counts, one = self._account.counts, self.shipment(sent.origin)
        because = end.because if isinstance(end, Lost) else "sender killed"
        if because == "not connected":
            counts["not connected"] += 1
            return
        counts["requests"] += 1
        counts[f"way {sent.way}"] += 1
        if isinstance(end, Answered):
            if one.whole:
                self._account.longest_wait_s = max(self._account.longest_wait_s, end.seconds)
            self._take_answer(sent, one, end)
            return
        counts[f"lost, {because}"] += 1
        if because == "no answer":
            self._account.breach("an answer comes in time", f"{sent} got none")
        if one.whole and not sent.again:
            self._doubt("answer lost", one, one.good)

    def _take_answer(self, sent: Sent, one: Shipment, end: Answered) -> None:
        answer: dict[str, Any] = json.decode(end.body) if end.body else {}
        error = answer.get("error", "")
        name = f"{end.status} {error}".strip()
        self._account.counts[f"answered {name}"] += 1
        places = self._places(one, answer)
        if end.status not in (503, _STATUSES.get(sent.way, end.status)):
            self._account.breach("what is wrong is refused", f"{sent} got {name}")
        if end.status == 200:
            self._check_200(one, answer, places)
            if not sent.again:
                self._promise(one, places, most=1)
                self.stored.append((one.origin, places, answer.get("received_at")))
        elif error == "partly_stored":
            self._promise(one, answer["stored"], most=1)
            self._doubt("partly_stored, to be sent again", one, answer["retry"])
        elif error == "not_acknowledged":
            self._doubt("not_acknowledged", one, answer["retry"])
        elif end.status >= 500 and not (end.status == 503 and error in _NOTHING_STORED):
            self._account.breach("every answer is one of the contract", f"{sent} got {name}")
            self._doubt(name, one, one.good)
        elif not 400 <= end.status < 500 and error not in _NOTHING_STORED:
            self._account.breach("every answer is one of the contract", f"{sent} got {name}")

    def _places(self, one: Shipment, answer: dict[str, Any]) -> list[int]:
        """Of a 200: all elements that came, but the refused ones."""
        refused = {each["index"] for each in answer.get("refused", ())}
        return [place for place in range(one.complete) if place not in refused]

    def _check_200(self, one: Shipment, answer: dict[str, Any], places: Sequence[int]) -> None:
        if one.cut and not answer["refused"]:
            self._account.breach("what is wrong is refused", f"{one.origin}: broken JSON, 200")
        good = [place for place in one.good if place < one.complete]
        if good != places or answer["accepted"] != len(places):
            self._account.breach("accepted and refused are the elements sent", f"{one.origin}: {answer}")

    def _promise(self, one: Shipment, places: Iterable[int], most: int) -> None:
        for place in places:
            allowed = self.allowed.setdefault((one.origin, place), _Allowed())
            allowed.least = 1
            allowed.most += most

    def _doubt(self, why: str, one: Shipment, places: Iterable[int]) -> None:
        elements = [(one.origin, place) for place in places]
        for element in elements:
            self.allowed.setdefault(element, _Allowed()).most += 1
        self.unproven.append((why, elements))


class _Topic:
    """The copies of each element in the topic, and where the first one is."""

    def __init__(self, account: Account, promises: _Promises, partitions: int) -> None:
        self._account = account
        self._promises = promises
        self._partition_of = Partitioning(partitions=partitions).cached()
        self._made: dict[Origin, Shipment] = {}
        self.copies: Counter[Element] = Counter()
        self.first: dict[Element, tuple[int, int, int]] = {}
        """Partition, offset and time."""

    def take(self, partition: int, records: Iterable[ConsumerRecord]) -> None:
        for record in records:
            self._account.counts["records"] += 1
            value = record.value if record.value.startswith(b"[") else b"[" + record.value + b"]"
            try:
                for element in map(bytes, _read_elements(value)):
                    self._take(partition, record, element)
            except (msgspec.DecodeError, ValueError, KeyError, IndexError) as error:
                self._account.breach("what is stored was sent", f"{record.value[:200]!r}: {error!r}")

    def _take(self, partition: int, record: ConsumerRecord, element: bytes) -> None:
        name = read_element(element)
        origin, place = name.origin, name.place
        one = self._made.get(origin)
        if one is None:
            if len(self._made) > 10_000:
                self._made.clear()
            one = self._made[origin] = self._promises.shipment(origin)
        if one.elements[place] != element:
            self._account.breach("what is stored was sent", f"{origin}, {place}: other bytes")
        if record.key != name.device_id.encode() or self._partition_of(name.device_id) != partition:
            self._account.breach("a record is its device's", f"{name.device_id}: {partition}, {record.key}")
        self._account.counts["events stored"] += 1
        self.copies[origin, place] += 1
        self.first.setdefault((origin, place), (partition, record.offset, record.timestamp))


def account(
    journals: Mapping[str, Sequence[Line]],
    ways: Mapping[str, dict[str, int]],
    records: Mapping[int, Sequence[ConsumerRecord]],
) -> Account:
    """Hold the topic to the journals: sender -> its lines, sender -> its ways, partition -> its records."""
    found = Account()
    promises = _Promises(found, ways)
    for lines in journals.values():
        promises.take(lines)
    topic = _Topic(found, promises, len(records))
    for partition, of_partition in records.items():
        topic.take(partition, of_partition)
    _compare(found, promises, topic)
    _check_order(found, promises, topic)
    _count_unproven(found, promises, topic)
    return found


def _compare(found: Account, promises: _Promises, topic: _Topic) -> None:
    for element, allowed in promises.allowed.items():
        copies = topic.copies[element]
        found.counts["events answered 200"] += allowed.least
        if copies < allowed.least:
            found.breach("nothing answered as stored is missing", f"{element}")
        elif copies > allowed.most:
            found.breach("nothing is stored more often than it was sent", f"{element}: {copies} times")
    for element in topic.copies.keys() - promises.allowed.keys():
        found.breach("nothing answered as not stored is there", f"{element}")


def _check_order(found: Account, promises: _Promises, topic: _Topic) -> None:
    """A sender waits for its answers, so what was answered first is first; and has the answered time."""
    newest: dict[tuple[str, int], int] = {}
    seen: set[Origin] = set()
    for origin, places, received_at in promises.stored:
        if origin in seen:  # a key's second answer, of the same record
            continue
        seen.add(origin)
        where = [topic.first[origin, place] for place in places if (origin, place) in topic.first]
        once = all(topic.copies[origin, place] == 1 for place in places)
        if once and any(time_ms != received_at for _, _, time_ms in where):
            found.breach("a record has the time that was answered", f"{origin}: {where}, {received_at}")
        by_partition: dict[int, list[int]] = {}
        for partition, offset, _ in where:
            by_partition.setdefault(partition, []).append(offset)
        for partition, offsets in by_partition.items():
            if once and min(offsets) <= newest.get((origin.sender, partition), -1):
                found.breach("a sender's order is kept", f"{origin} in {partition}: {min(offsets)}")
            newest[origin.sender, partition] = max(offsets)


def _count_unproven(found: Account, promises: _Promises, topic: _Topic) -> None:
    for why, elements in promises.unproven:
        stored = sum(topic.copies[element] > 0 for element in elements)
        of = "none" if not stored else "all" if stored == len(elements) else "a part"
        found.counts[f"in doubt, {why}"] += 1
        found.counts[f"in doubt, {why}: {of} stored"] += 1


def read_journals(directory: Path) -> tuple[dict[str, list[Line]], dict[str, dict[str, int]]]:
    """The journals in a directory by sender, and how each sender behaves, which its name begins with."""
    journals = {path.stem: list(read_journal(path)) for path in sorted(directory.glob("*.ndjson"))}
    return journals, {name: RUDE if name.startswith("rude") else FAIR for name in journals}
