"""The ports of a task on the simulated world: what ``worker.ports`` promises, with every real wait as a step.

Decides what a caller sees when a request is lost, late or refused; what such a request does is the broker's.
Knows nothing of who checks. Invariant: a killed process does nothing any more, so each port asks its ``Life``
first.
"""

from collections.abc import Callable, Mapping, Sequence

from tests.builders import Record
from tests.simulation.world import Fate, Request, World, until
from worker.errors import TransactionLost
from worker.model.outputs import OutputRecord
from worker.model.rekeying import RekeyedRecord
from worker.ports import ChangelogBatch

REQUEST_TIMEOUT_S = 0.5
HEARTBEAT_S = 1.0
LONGEST_FETCH = 6  # records


class KilledError(BaseException):
    """The process was killed: raised into its coroutine, and by every port that it still calls."""


class Life:
    """Whether one process is alive, and its requests to the broker."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.killed = False
        self.answered: list[str] = []  # kinds of requests, as their answers came

    def check(self) -> None:
        """Nothing that a dead process does has an effect."""
        if self.killed:
            raise KilledError

    async def pause(self) -> None:
        """Give way once."""
        self.check()
        await until(lambda: True)

    async def sleep(self, seconds: float) -> None:
        """Give way for at least that long."""
        self.check()
        instant = self.world.now + seconds
        self.world.wake_at(instant)
        await until(lambda: self.world.now >= instant)

    async def call(self, kind: str, effect: Callable[[], object]) -> Fate:
        """Send one request and wait for its answer; returns what became of it where that is no failure."""
        self.check()
        fate = self.world.fate_of(kind)
        if fate in (Fate.REQUEST_LOST, Fate.LATE):
            if fate is Fate.LATE:
                self.world.send(effect, delay_s=self.world.random.random() * 4)
            await self.sleep(REQUEST_TIMEOUT_S)
            raise TransactionLost(f"{kind}: timed out")
        if fate is Fate.SENT_TWICE:
            self.world.send(effect, delay_s=self.world.random.random() * 4)
        await self.answer(kind, self.world.send(effect))
        if fate is Fate.ANSWER_LOST:
            raise TransactionLost(f"{kind}: connection reset")
        return fate

    async def answer(self, kind: str, request: Request) -> None:
        """Wait for the broker's answer."""
        await until(lambda: request.delivered)
        self.answered.append(kind)
        if request.fenced is not None:
            raise TransactionLost(f"{kind}: {request.fenced}") from request.fenced


class FakeClock:
    """Virtual time."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def monotonic(self) -> float:
        return self._life.world.now

    def wall_ms(self) -> int:
        return self._life.world.wall_ms()

    async def sleep(self, seconds: float) -> None:
        await self._life.sleep(seconds)


class FakeTransaction:
    """The transactional producer: one epoch at a time, dead after its first failure."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.broker = life.world.broker
        self.epoch: int | None = None
        self.open = False
        self.tainted = False
        self.sent: list[tuple[str, Request, Fate]] = []

    async def fence(self) -> None:
        assert self.epoch is None, "fenced twice without discarding"
        epochs: list[int] = []
        await self.life.call("fence", lambda: epochs.append(self.broker.init_producer()))
        self.epoch, self.tainted = epochs[-1], False

    async def begin(self) -> None:
        await self.life.pause()
        if self.epoch is None or self.tainted:
            raise TransactionLost("an earlier request may still be on its way")
        assert not self.open
        self.open, self.sent = True, []

    async def send(self, topic: str, records: Sequence[OutputRecord]) -> None:
        assert self.open
        await self.life.pause()
        if not records:
            return
        epoch, random = self.live_epoch(), self.life.world.random
        fate = self.life.world.fate_of("send")
        cut = random.randint(0, len(records) - 1)
        batches = [batch for batch in (records[:cut], records[cut:]) if batch]
        if fate is Fate.REFUSED:
            batches.pop(random.randrange(len(batches)))  # the other one is stored all the same
        ends: list[int] = []

        def produce() -> int:
            if fate is not Fate.REQUEST_LOST:
                ends.extend(self.broker.produce(epoch, topic, batch) for batch in batches)
            return ends[-1] if ends else 0

        delay_s = random.random() * 4 if fate is Fate.LATE else 0.0
        self.sent.append((topic, self.life.world.send(produce, delay_s), fate))

    async def forward(self, topic: str, partition: int, records: Sequence[RekeyedRecord]) -> None:
        raise AssertionError("a world of one partition")

    async def acknowledged(self) -> dict[str, int]:
        ends: dict[str, int] = {}
        for topic, request, fate in self.sent:
            if fate is Fate.LATE:
                await self.life.sleep(REQUEST_TIMEOUT_S)
            else:
                await self.life.answer("send", request)
            if fate is not Fate.DONE:
                raise TransactionLost(f"send to {topic}: {fate.name}", refused=fate is Fate.REFUSED)
            assert isinstance(request.result, int)
            ends[topic] = request.result
        return ends

    async def add_offsets(self, next_offsets: Mapping[str, int]) -> None:
        epoch, offsets = self.live_epoch(), dict(next_offsets)
        await self.life.call("add_offsets", lambda: self.broker.add_offsets(epoch, offsets))

    async def commit(self) -> None:
        epoch = self.live_epoch()
        fate = await self.life.call("commit", lambda: self.broker.end(epoch, committed=True))
        self.open = False
        self.tainted = fate is Fate.SENT_TWICE

    def discard(self) -> None:
        self.life.check()
        self.epoch, self.open = None, False

    def live_epoch(self) -> int:
        assert self.epoch is not None, "not fenced, or discarded"
        return self.epoch


class FakeSource:
    """The raw partition, read by one consumer of the group."""

    def __init__(
        self, life: Life, raw: Sequence[Record | None], topic: str, assigned: Callable[[], bool]
    ) -> None:
        self._life = life
        self._raw = raw
        self._topic = topic
        self._assigned = assigned
        self._position: int | None = None
        self._woken = False

    async def next_records(self, timeout_s: float) -> Sequence[Record]:
        self._life.check()
        deadline = self._life.world.now + timeout_s
        self._life.world.wake_at(deadline)
        await until(lambda: self._woken or self._life.world.now >= deadline or self.lag() > 0)
        self._woken = False
        if self._position is None:
            return []
        fetched = self._raw[
            self._position : self._position + self._life.world.random.randint(1, LONGEST_FETCH)
        ]
        self._position += len(fetched)
        if self.lag() == 0:
            self._life.world.fully_read.add(self._position)
        return [record for record in fetched if record is not None]

    def wake(self) -> None:
        self._woken = True

    def seek(self, next_offsets: Mapping[str, int]) -> None:
        self._position = next_offsets[self._topic]

    def lag(self) -> int:
        return 0 if self._position is None else max(0, len(self._raw) - self._position)

    def caught_up(self) -> bool:
        return self._position is not None and self.lag() == 0

    async def first_offsets(self) -> dict[str, int]:
        await self._life.call("query", lambda: None)
        return {self._topic: 0}

    async def committed_offsets(self) -> dict[str, int]:
        answers: list[dict[str, int]] = []
        await self._life.call("query", lambda: answers.append(self._life.world.broker.committed_offsets()))
        return answers[-1]

    async def still_assigned(self) -> bool:
        await self._life.sleep(2 * HEARTBEAT_S)
        return self._assigned()

    def rebalanced(self) -> None:
        """What the client does after every rebalance, also for a kept partition: go where the group is."""
        if self._position is not None:
            self._position = self._life.world.broker.committed_offsets().get(self._topic, 0)


class FakeChangelog:
    """The changelog partition, read_committed."""

    def __init__(self, life: Life, topic: str) -> None:
        self._life = life
        self._broker = life.world.broker
        self._topic = topic
        self._end = 0

    async def bounds(self) -> tuple[int, int]:
        ends: list[int] = []
        await self._life.call("query", lambda: ends.append(self._broker.stable_end(self._topic)))
        self._end = ends[-1]
        return 0, self._end

    async def read(self, offset: int) -> ChangelogBatch:
        random = self._life.world.random
        limit = random.randint(1, 20)
        beyond = random.random() < 0.5  # a fetch does not know where the restore ends
        batches: list[ChangelogBatch] = []

        def fetch() -> None:
            end = self._broker.stable_end(self._topic) if beyond else self._end
            found = [*self._broker.read_committed(self._topic, offset, end)][:limit]
            records = [(record[0] or b"", record[1]) for _, record in found]
            records_end = found[-1][0] + 1 if found else offset
            next_offset = end if len(found) < limit else records_end
            batches.append(ChangelogBatch(records=records, records_end=records_end, next_offset=next_offset))

        await self._life.call("query", fetch)
        return batches[-1]

    async def close(self) -> None:
        self._life.check()
