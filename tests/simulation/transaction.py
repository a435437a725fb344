"""The port ``Transaction`` on the simulated broker.

Decides what a producer gets for its requests; knows no checks. Invariant: one epoch at a time, and after the
first failure only ``discard``, as with the real one.
"""

from collections.abc import Mapping, Sequence

from tests.simulation.broken_promise import BrokenPromiseError
from tests.simulation.broker import TopicPartition
from tests.simulation.client import REQUEST_TIMEOUT_S, Client
from tests.simulation.topics import topics_of
from tests.simulation.world import Request, RequestOutcome
from worker.errors import TransactionLost
from worker.model.output_records import Outgoing
from worker.model.outputs import OutputRecord
from worker.model.repartition import Headers, RepartitionedRecord

MOST_REFUSALS = 5
"""After so many in a row a task must give up."""

_EVENTS = {topics_of(1).outputs["enriched"], topics_of(1).outputs["dead_letters"]}


class FakeTransaction:
    """The transactional producer of one partition."""

    def __init__(self, client: Client, partition: int) -> None:
        self.client = client
        self.broker = client.world.broker
        self.partition = partition
        self.epoch: int | None = None
        self.open = False
        self.tainted = False
        self.sent: list[tuple[TopicPartition, Request, RequestOutcome]] = []
        self.refusals = 0  # in a row
        self.just_refused = False
        self.events = 0  # sent in this transaction; states and upserts are not counted

    async def fence(self) -> None:
        assert self.epoch is None, "fenced twice without discarding"
        epochs: list[int] = []
        await self.client.call("fence", lambda: epochs.append(self.broker.init_producer(self.partition)))
        self.epoch, self.tainted = epochs[-1], False

    async def begin(self) -> None:
        await self.client.pause()
        if self.epoch is None or self.tainted:
            raise TransactionLost("an earlier request may still arrive")
        assert not self.open
        self.open, self.sent, self.events = True, [], 0

    async def send(
        self, topic: str, records: Outgoing | Sequence[OutputRecord], partition: int | None = None
    ) -> None:
        place = topic, self.partition if partition is None else partition
        self.events += len(records) if topic in _EVENTS else 0
        await self._send(place, [(record, ()) for record in records])

    async def forward(self, topic: str, partition: int, records: Sequence[RepartitionedRecord]) -> None:
        sent = [((record.key, record.value, None), record.headers) for record in records]
        self.events += sum(record.events for record in records)
        await self._send((topic, partition), sent)

    async def _send(self, place: TopicPartition, records: Sequence[tuple[OutputRecord, Headers]]) -> None:
        assert self.open
        await self.client.pause()
        if not records:
            return
        epoch, random = self.live_epoch(), self.client.world.random
        outcome = self.client.world.outcome_of("send")
        if not self.client.world.may_write(place[0]):
            outcome = RequestOutcome.FORBIDDEN
        cut = random.randint(0, len(records) - 1)
        batches = [batch for batch in (records[:cut], records[cut:]) if batch]
        if outcome is RequestOutcome.REFUSED:
            batches.pop(random.randrange(len(batches)))  # the other one is stored
        ends: list[int] = []

        def produce() -> int:
            if outcome not in (RequestOutcome.REQUEST_LOST, RequestOutcome.FORBIDDEN):
                ends.extend(self.broker.produce(self.partition, epoch, place, batch) for batch in batches)
            return ends[-1] if ends else 0

        delay_s = random.random() * 4 if outcome is RequestOutcome.LATE else 0.0
        self.sent.append((place, self.client.world.send(produce, delay_s), outcome))

    async def acknowledged(self) -> dict[str, int]:
        ends: dict[str, int] = {}
        most = self.client.world.events_in_time
        if most is not None and self.events > most:
            await self.client.sleep(REQUEST_TIMEOUT_S)
            raise TransactionLost(f"{self.events} events: no answer in time", timed_out=True)
        for (topic, partition), request, outcome in self.sent:
            if outcome is RequestOutcome.LATE:
                await self.client.sleep(REQUEST_TIMEOUT_S)
            else:
                await self.client.answer("send", request)
            if outcome in (RequestOutcome.REFUSED, RequestOutcome.FORBIDDEN):
                self._count_a_refusal()
                raise TransactionLost(f"send to {topic}: {outcome.name}", refused=True)
            if outcome is not RequestOutcome.DONE:
                raise TransactionLost(f"send to {topic}: {outcome.name}")
            assert isinstance(request.result, int)
            if partition == self.partition:
                ends[topic] = request.result
        return ends

    async def add_offsets(self, next_offsets: Mapping[str, int], author: str) -> None:
        epoch = self.live_epoch()
        offsets = {(topic, self.partition): offset for topic, offset in next_offsets.items()}
        await self.client.call(
            "add_offsets", lambda: self.broker.add_offsets(self.partition, epoch, offsets, author)
        )

    async def commit(self) -> None:
        epoch = self.live_epoch()
        outcome = await self.client.call(
            "commit", lambda: self.broker.end(self.partition, epoch, committed=True)
        )
        self.open, self.refusals = False, 0
        self.tainted = outcome is RequestOutcome.SENT_TWICE

    def _count_a_refusal(self) -> None:
        self.refusals += 1
        self.just_refused = True
        if self.refusals > MOST_REFUSALS:
            raise BrokenPromiseError(f"P5 liveness: refused {self.refusals} times, and it tries again")

    def discard(self) -> None:
        self.client.check()
        if not self.just_refused:  # it was lost for another reason
            self.refusals = 0
        self.epoch, self.open, self.just_refused = None, False, False

    def live_epoch(self) -> int:
        assert self.epoch is not None, "not fenced, or discarded"
        return self.epoch
