"""The port ``Source`` on the simulated broker: the inputs of one task, read by one consumer of the group.

Decides what has been fetched of each input when the task asks. The oldest records come first, by the same
function as in the real source. Invariant: each input in order, nothing beyond its last stable offset.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from tests.simulation.broker import Broker, Entry, TopicPartition
from tests.simulation.client import Client
from tests.simulation.world import until
from worker.adapters.kafka.records import FetchedRecord
from worker.core.repartition import oldest_piece, origin_timestamps_ms
from worker.errors import TransactionLost
from worker.model.records import NO_RECORDS, ListedRecords, Records
from worker.model.state import GroupOffset
from worker.ports import Lag

HEARTBEAT_S = 1.0
LONGEST_FETCH = 6  # records
FETCHED_IN_TIME = 0.7  # probability that a fetch of one of several inputs is back when the task asks


class FakeInput:
    """A partition of one topic: the client's position, and records fetched and not yet returned."""

    def __init__(self, broker: Broker, place: TopicPartition, *, repartitioned: bool) -> None:
        self.broker = broker
        self.place = place
        self.position: int | None = None
        self.waiting: list[FetchedRecord] = []
        self._repartitioned = repartitioned

    def seek(self, offset: int) -> None:
        self.waiting.clear()
        self.position = offset

    def next_offset(self) -> int:
        """The offset of the next record to be returned, or less."""
        return self.waiting[0].offset if self.waiting else self.position or 0

    def end(self) -> int:
        """Where fetches end."""
        return self.broker.stable_end(self.place)

    def unfetched(self) -> int:
        return 0 if self.position is None else max(0, self.end() - self.position)

    def fetch(self, most: int) -> None:
        """Fetch a few records, and pass markers and aborted records."""
        assert self.position is not None
        if not self.waiting and self.position < self.broker.log_start(self.place):
            raise TransactionLost(f"offset {self.position} of {self.place} is not there")
        if self.waiting or self.position >= self.end():
            return
        found = [*islice(self.readable(self.position), most)]
        self.waiting = [self._record(offset, entry) for offset, entry in found]
        self.position = found[-1][0] + 1 if len(found) == most else self.end()

    def readable(self, position: int) -> Iterator[tuple[int, Entry]]:
        """The records that a fetch may return."""
        return self.broker.read_committed(self.place, position)

    def times_ms(self) -> list[int]:
        if self._repartitioned:
            return origin_timestamps_ms(self.waiting)
        return [record.timestamp for record in self.waiting]

    def take(self, count: int) -> list[FetchedRecord]:
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def _record(self, offset: int, entry: Entry) -> FetchedRecord:
        assert entry.record is not None
        topic, partition = self.place
        key, value, timestamp_ms = entry.record
        return FetchedRecord(
            topic, partition, offset, -1 if timestamp_ms is None else timestamp_ms, key, value, entry.headers
        )


class FakeSource:
    """The inputs of one partition's task."""

    input_class: type[FakeInput] = FakeInput

    def __init__(
        self, client: Client, partition: int, topics: Sequence[str], still_assigned: Callable[[], bool]
    ) -> None:
        """``topics``: the raw topic, then the repartition topic where there is one."""
        self._client = client
        self._partition = partition
        self.inputs = [
            self.input_class(client.world.broker, (topic, partition), repartitioned=number > 0)
            for number, topic in enumerate(topics)
        ]
        self._still_assigned = still_assigned
        self._woken = False

    async def next_records(self, timeout_s: float) -> Records:
        self._client.check()
        world = self._client.world
        deadline = world.now + timeout_s
        world.wake_at(deadline)
        await until(lambda: self._woken or world.now >= deadline or self._records_left() > 0)
        self._woken = False
        if not self._is_positioned():
            return NO_RECORDS
        for fetching in self.inputs:
            if len(self.inputs) == 1 or world.random.random() < FETCHED_IN_TIME:
                fetching.fetch(world.random.randint(1, LONGEST_FETCH))
        waiting = [fetched for fetched in self.inputs if fetched.waiting]
        taken: list[FetchedRecord] = []
        if waiting:
            place, count = oldest_piece([fetched.times_ms() for fetched in waiting])
            taken = waiting[place].take(count)
        if self.lag().records == 0:
            positions = tuple(read.position or 0 for read in self.inputs)
            world.fully_read.add((self._partition, positions))
        return ListedRecords(taken)

    def wake(self) -> None:
        self._woken = True

    def seek(self, next_offsets: Mapping[str, int]) -> None:
        for positioned in self.inputs:
            positioned.seek(next_offsets[positioned.place[0]])

    def next_offsets(self) -> dict[str, int]:
        return {read.place[0]: read.next_offset() for read in self.inputs}

    def lag(self) -> Lag:
        in_open_transactions = sum([len(read.broker.log(read.place)) - read.end() for read in self.inputs])
        if not self._is_positioned():
            return Lag(None, in_open_transactions, unknown_because="not positioned yet")
        records = self._records_left()
        return Lag(records, in_open_transactions, caught_up=records == 0)

    def _records_left(self) -> int:
        return sum([len(read.waiting) + read.unfetched() for read in self.inputs])

    async def first_offsets(self) -> dict[str, int]:
        await self._client.call("query", lambda: None)
        return {read.place[0]: read.broker.log_start(read.place) for read in self.inputs}

    async def log_bounds(self) -> dict[str, tuple[int, int]]:
        bounds: list[dict[str, tuple[int, int]]] = []
        await self._client.call("query", lambda: bounds.append(self._log_bounds()))
        return bounds[-1]

    def _log_bounds(self) -> dict[str, tuple[int, int]]:
        places = [(read.place, read.broker) for read in self.inputs]
        return {place[0]: (broker.log_start(place), len(broker.log(place))) for place, broker in places}

    async def committed_offsets(self) -> dict[str, GroupOffset]:
        answers: list[dict[str, GroupOffset]] = []
        await self._client.call("query", lambda: answers.append(self._committed()))
        return answers[-1]

    async def still_assigned(self) -> bool:
        await self._client.sleep(2 * HEARTBEAT_S)
        return self._still_assigned()

    def rebalanced(self) -> None:
        """A kept source goes on where it was, but may fetch again from the group's committed offset.

        Those records were returned before.
        """
        if self._is_positioned():
            committed = self._committed()
            for read in self.inputs:
                group = committed.get(read.place[0])
                at = min(read.next_offset(), 0 if group is None else group.next_offset)
                # Where that is out of range, the client goes back to where the input is.
                read.seek(read.next_offset() if at < read.broker.log_start(read.place) else at)

    def _is_positioned(self) -> bool:
        return all(read.position is not None for read in self.inputs)

    def _committed(self) -> dict[str, GroupOffset]:
        committed = self._client.world.broker.committed_offsets([read.place for read in self.inputs])
        return {topic: offset for (topic, _), offset in committed.items()}
