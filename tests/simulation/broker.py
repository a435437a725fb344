"""A broker with one partition of every topic, as far as exactly-once depends on it.

Decides what is stored, visible and fenced; knows no network, no task and no fault: callers see effects at
once, and ``ports`` delays or loses them. Modelled on Kafka with transactions of version 1 (KIP-98): the epoch
of the transactional id is the only fence, ``end`` answers before the markers are written, and the group's
offsets may be answered stale for a while after that. Invariant: offsets are positions in a log and are never
used twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from worker.model.outputs import OutputRecord

LONGEST_STALE_S = 1.0
"""How long after its markers a commit's group offsets may stay unseen."""


class FencedError(Exception):
    """The epoch is not the transactional id's newest: a later owner has fenced this one."""


@dataclass(slots=True)
class TransactionUnit:
    """One transaction; ``committed`` is None until decided, its records stay unstable until ``complete``."""

    committed: bool | None = None
    complete: bool = False
    first: dict[str, int] = field(default_factory=dict)
    group_offsets: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Entry:
    """What stands at one offset; ``record`` is None for a marker."""

    record: OutputRecord | None
    unit: TransactionUnit | None = None
    compacted: bool = False

    @property
    def committed(self) -> bool:
        """Whether it is a record of a transaction that was decided for (also when since compacted away)."""
        return self.record is not None and (self.unit is None or self.unit.committed is True)


class Broker:
    """One partition's logs, one transactional id, one group."""

    def __init__(self, random: Random, now: Callable[[], float]) -> None:
        self._random = random
        self._now = now
        self.epoch = 0
        self.ongoing: TransactionUnit | None = None
        self._deciding: TransactionUnit | None = None  # decided, markers not yet written
        self.logs: dict[str, list[Entry]] = {}
        self.group_offsets: dict[str, int] = {}
        self._stale_group_offsets: dict[str, int] = {}
        self._stale_until = 0.0

    # --- producers ---

    def init_producer(self) -> int:
        """InitProducerId: abort what is open, bump the epoch; answers only when all markers are written."""
        if self.ongoing is not None:
            self._decide(committed=False)
        self.write_markers()
        self.epoch += 1
        return self.epoch

    def produce(self, epoch: int, topic: str, records: Sequence[OutputRecord]) -> int:
        """Append inside the transaction, opening it when none is; the offset after the last record."""
        unit = self._unit(epoch)
        log = self._log(topic)
        unit.first.setdefault(topic, len(log))
        log += [Entry(record, unit) for record in records]
        return len(log)

    def add_offsets(self, epoch: int, next_offsets: Mapping[str, int]) -> None:
        """TxnOffsetCommit."""
        self._unit(epoch).group_offsets.update(next_offsets)

    def end(self, epoch: int, *, committed: bool) -> None:
        """EndTxn. Without an open transaction it repeats the last answer, so a client may send it twice."""
        self._check(epoch)
        if self.ongoing is not None:
            self._decide(committed=committed)

    def write_markers(self) -> None:
        """Let what was decided become visible. A broker does this some time after answering EndTxn."""
        unit, self._deciding = self._deciding, None
        if unit is None:
            return
        for topic in unit.first:
            self._log(topic).append(Entry(None))
        unit.complete = True
        if unit.committed and unit.group_offsets:
            self._stale_group_offsets = dict(self.group_offsets)
            self.group_offsets.update(unit.group_offsets)
            self._stale_until = self._now() + max(0.0, self._random.uniform(-2, 1)) * LONGEST_STALE_S

    @property
    def owes_markers(self) -> bool:
        """Whether a decided transaction is not yet visible."""
        return self._deciding is not None

    def _unit(self, epoch: int) -> TransactionUnit:
        self._check(epoch)
        self.write_markers()  # the client repeats its request while the last transaction is being completed
        if self.ongoing is None:
            self.ongoing = TransactionUnit()
        return self.ongoing

    def _decide(self, *, committed: bool) -> None:
        assert self.ongoing is not None
        self.write_markers()
        self.ongoing.committed = committed
        self._deciding, self.ongoing = self.ongoing, None

    def _check(self, epoch: int) -> None:
        if epoch != self.epoch:
            raise FencedError(f"producer epoch {epoch}, now {self.epoch}")

    # --- readers ---

    def stable_end(self, topic: str) -> int:
        """The last stable offset: no open transaction begins below it."""
        end = len(self._log(topic))
        open_units = (unit for unit in (self._deciding, self.ongoing) if unit is not None)
        return min((unit.first.get(topic, end) for unit in open_units), default=end)

    def read_committed(
        self, topic: str, offset: int = 0, end: int | None = None
    ) -> Iterator[tuple[int, OutputRecord]]:
        """(offset, record) of what a read_committed reader gets from ``offset`` on, below ``end``."""
        end = self.stable_end(topic) if end is None else min(end, self.stable_end(topic))
        for position in range(offset, end):
            entry = self._log(topic)[position]
            if entry.record is not None and entry.committed and not entry.compacted:
                yield position, entry.record

    def history(self, topic: str) -> Iterator[tuple[int, OutputRecord]]:
        """All that was ever decided for, also what is not yet visible or was compacted away: for checks."""
        for position, entry in enumerate(self._log(topic)):
            if entry.record is not None and entry.committed:
                yield position, entry.record

    def was_compacted(self, topic: str, offset: int) -> bool:
        """Whether the record at this offset is gone since."""
        return self._log(topic)[offset].compacted

    def committed_offsets(self) -> dict[str, int]:
        """OffsetFetch without stable offsets: right after a commit the answer may be the one before it."""
        return dict(self._stale_group_offsets if self._now() < self._stale_until else self.group_offsets)

    def compact(self, topic: str) -> None:
        """Clean the log: drop aborted records, and all but the newest of each key. Offsets stay."""
        newest = {record[0]: position for position, record in self.read_committed(topic)}
        for position in range(self.stable_end(topic)):
            entry = self._log(topic)[position]
            if entry.record is not None:
                entry.compacted = not entry.committed or newest[entry.record[0]] != position

    def _log(self, topic: str) -> list[Entry]:
        return self.logs.setdefault(topic, [])
