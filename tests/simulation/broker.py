"""A broker, as far as exactly-once depends on it: logs, transactional ids, one group's offsets.

Decides what is stored, visible and fenced; knows no network, no task and no fault: callers see effects at
once, and the ports delay or lose them. Modelled on Kafka with transactions of version 1 (KIP-98): the epoch
of the transactional id is the only fence, ``end`` answers before the markers are written, each partition gets
its marker at a time of its own, and answers about the group's offsets may be stale for a while after theirs.
Invariants: offsets are positions in a log and are never used twice; no reader of committed records passes the
last stable offset, below which no transaction of any producer is open.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from msgspec import json

from worker.model.outputs import OutputRecord
from worker.model.repartition import Headers
from worker.model.state import GroupOffset

TopicPartition = tuple[str, int]

LONGEST_STALE_S = 1.0
"""How long after its marker a commit's group offsets may still be answered as they were before."""

_GROUP: TopicPartition = ("__consumer_offsets", 0)
"""The partition of the group's offsets: a transaction with offsets gets a marker there too."""


class FencedError(Exception):
    """The epoch is not the transactional id's newest: a later owner has fenced this one."""


@dataclass(slots=True)
class TransactionUnit:
    """One transaction; ``committed`` is None until decided, then markers are written one by one."""

    producer: int
    committed: bool | None = None
    group_offsets: dict[TopicPartition, int] = field(default_factory=dict)
    touched: list[TopicPartition] = field(default_factory=list)
    unmarked: list[TopicPartition] = field(default_factory=list)


@dataclass(slots=True)
class Entry:
    """The content of one offset; ``record`` is None for a marker."""

    record: OutputRecord | None
    unit: TransactionUnit | None = None
    headers: Headers = ()
    compacted: bool = False

    def decoded(self) -> Any:
        """The record's value, which is JSON."""
        return json.decode((self.record and self.record[1]) or b"")

    @property
    def committed(self) -> bool:
        """Whether it is a record of a transaction that was decided as committed, compacted or not."""
        return self.record is not None and (self.unit is None or self.unit.committed is True)


@dataclass(slots=True)
class Producer:
    """One transactional id; ``timed_out`` is true where its newest epoch came from a timeout."""

    epoch: int = 0
    timed_out: bool = False
    ongoing: TransactionUnit | None = None
    deciding: TransactionUnit | None = None  # decided, markers not yet written


class Broker:
    """All partitions' logs, one transactional id for each, one group."""

    def __init__(self, random: Random, now: Callable[[], float]) -> None:
        self._random = random
        self._now = now
        self.producers: dict[int, Producer] = {}
        self.logs: dict[TopicPartition, list[Entry]] = {}
        self.group_offsets: dict[TopicPartition, int] = {}
        self.authors: dict[TopicPartition, str] = {}
        self.markers_withheld_until = 0.0
        self._log_starts: dict[TopicPartition, int] = {}
        self._stale: dict[TopicPartition, tuple[int | None, float]] = {}  # the offset before, until when
        self._open: dict[TopicPartition, dict[int, int]] = {}  # producer -> first open offset

    def append(self, place: TopicPartition, record: OutputRecord | None) -> None:
        """Append another producer's record, outside all transactions; None is a marker of its own."""
        self.log(place).append(Entry(record))

    # --- producers ---

    def producer(self, number: int) -> Producer:
        """The transactional id of a partition."""
        return self.producers.setdefault(number, Producer())

    def init_producer(self, number: int) -> int:
        """InitProducerId: abort what is open, bump the epoch; answers only when all markers are written."""
        producer = self.producer(number)
        if producer.ongoing is not None:
            self._decide(producer, committed=False)
        self._complete(producer)
        producer.epoch += 1
        producer.timed_out = False
        return producer.epoch

    def time_out(self, number: int) -> None:
        """Abort a transaction that was open for too long; its producer is fenced."""
        self.init_producer(number)
        self.producer(number).timed_out = True

    def produce(
        self,
        number: int,
        epoch: int,
        place: TopicPartition,
        records: Iterable[tuple[OutputRecord, Headers]],
    ) -> int:
        """Append inside the transaction, opening it when none is; the offset after the last record."""
        unit, log = self._unit(number, epoch), self.log(place)
        self._touch(unit, place, len(log))
        log += [Entry(record, unit, headers) for record, headers in records]
        return len(log)

    def add_offsets(
        self, number: int, epoch: int, next_offsets: Mapping[TopicPartition, int], author: str = ""
    ) -> None:
        """TxnOffsetCommit. The author is answered at once, before the commit; no rule may rely on that."""
        self.authors.update(dict.fromkeys(next_offsets, author))
        unit = self._unit(number, epoch)
        self._touch(unit, _GROUP, 0)
        unit.group_offsets.update(next_offsets)

    def end(self, number: int, epoch: int, *, committed: bool) -> None:
        """EndTxn. Without an open transaction it repeats the last answer, so a client may send it twice."""
        producer = self._fenced(number, epoch)
        if producer.ongoing is not None:
            self._decide(producer, committed=committed)

    @property
    def owes_markers(self) -> bool:
        """Whether a decided transaction is not yet visible everywhere."""
        return any(producer.deciding is not None for producer in self.producers.values())

    @property
    def may_write_markers(self) -> bool:
        """Whether it owes markers and may write them now."""
        return self.owes_markers and self._now() >= self.markers_withheld_until

    def write_a_marker(self) -> None:
        """Make a decided transaction visible in one partition. A broker does so after answering EndTxn."""
        owing = [producer for producer in self.producers.values() if producer.deciding is not None]
        self._write_marker(self._random.choice(owing))

    def _write_marker(self, producer: Producer) -> None:
        unit = producer.deciding
        assert unit is not None
        if unit.unmarked:
            place = unit.unmarked.pop(self._random.randrange(len(unit.unmarked)))
            del self._open[place][unit.producer]
            if place != _GROUP:
                self.log(place).append(Entry(None))
            elif unit.committed:
                until = self._now() + max(0.0, self._random.uniform(-2, 1)) * LONGEST_STALE_S
                for known, offset in unit.group_offsets.items():
                    self._stale[known] = (self.group_offsets.get(known), until)
                    self.group_offsets[known] = offset
        if not unit.unmarked:
            producer.deciding = None

    def _complete(self, producer: Producer) -> None:
        while producer.deciding is not None:
            self._write_marker(producer)

    def _unit(self, number: int, epoch: int) -> TransactionUnit:
        producer = self._fenced(number, epoch)
        self._complete(producer)  # the client repeats its request while the last one is being completed
        if producer.ongoing is None:
            producer.ongoing = TransactionUnit(number)
        return producer.ongoing

    def _touch(self, unit: TransactionUnit, place: TopicPartition, first: int) -> None:
        if place not in unit.touched:
            unit.touched.append(place)
            self._open.setdefault(place, {})[unit.producer] = first

    def _decide(self, producer: Producer, *, committed: bool) -> None:
        assert producer.ongoing is not None
        self._complete(producer)
        unit, producer.ongoing = producer.ongoing, None
        unit.committed = committed
        unit.unmarked = [*unit.touched]
        producer.deciding = unit

    def _fenced(self, number: int, epoch: int) -> Producer:
        producer = self.producer(number)
        if epoch != producer.epoch:
            raise FencedError(f"producer epoch {epoch}, now {producer.epoch}")
        return producer

    # --- readers ---

    def log(self, place: TopicPartition) -> list[Entry]:
        """Everything that was ever appended there, by offset."""
        return self.logs.setdefault(place, [])

    def log_start(self, place: TopicPartition) -> int:
        """The first offset that readers see; below it everything was deleted. Checks still see it."""
        return self._log_starts.get(place, 0)

    def delete_below(self, place: TopicPartition, offset: int) -> None:
        """Retention, or DeleteRecords."""
        self._log_starts[place] = max(self.log_start(place), offset)

    def stable_end(self, place: TopicPartition) -> int:
        """The last stable offset: no open transaction begins below it."""
        return min(self._open.get(place, {}).values(), default=len(self.log(place)))

    def read_committed(
        self, place: TopicPartition, offset: int = 0, end: int | None = None
    ) -> Iterator[tuple[int, Entry]]:
        """(offset, entry) of what a read_committed reader gets from ``offset`` on, below ``end``."""
        end = self.stable_end(place) if end is None else min(end, self.stable_end(place))
        log = self.log(place)
        for position in range(offset, end):
            entry = log[position]
            if entry.committed and not entry.compacted:
                yield position, entry

    def committed_records(self, place: TopicPartition) -> list[OutputRecord]:
        """The records that a read_committed reader sees."""
        return [entry.record for _, entry in self.read_committed(place) if entry.record is not None]

    def written(self, topic: str, producer: int) -> Iterator[tuple[TopicPartition, Entry]]:
        """One producer's committed records in all partitions of a topic, each in order."""
        for place in [known for known in self.logs if known[0] == topic]:
            for _, entry in self.history(place):
                if entry.unit is not None and entry.unit.producer == producer:
                    yield place, entry

    def history(self, place: TopicPartition) -> Iterator[tuple[int, Entry]]:
        """All committed records, also those that are not visible yet or were compacted: for checks."""
        return ((position, entry) for position, entry in enumerate(self.log(place)) if entry.committed)

    def committed_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, GroupOffset]:
        """OffsetFetch without stable offsets: right after a commit the answer may be the one before it."""
        answer: dict[TopicPartition, GroupOffset] = {}
        for place in places:
            offset = self.group_offsets.get(place)
            before, until = self._stale.get(place, (None, 0.0))
            if self._now() < until:
                offset = before
            if offset is not None:
                answer[place] = GroupOffset(offset, self.authors.get(place, ""))
        return answer

    def compact(self, place: TopicPartition) -> None:
        """Clean the log: drop aborted records, and all but the newest of each key. Offsets stay."""
        newest = {entry.record[0]: position for position, entry in self.read_committed(place) if entry.record}
        for entry, position in zip(self.log(place), range(self.stable_end(place)), strict=False):
            if entry.record is not None:
                entry.compacted = not entry.committed or newest[entry.record[0]] != position
