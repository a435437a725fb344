"""The port ``Changelog`` on the simulated broker: one partition of it, read_committed."""

from collections.abc import Iterator
from itertools import islice

from tests.simulation.broker import Entry, TopicPartition
from tests.simulation.client import Client
from worker.ports import ChangelogBatch


class FakeChangelog:
    """Reads a few records at a time, also after the end that it returned: a fetch knows no restore."""

    def __init__(self, client: Client, place: TopicPartition) -> None:
        self._client = client
        self.broker = client.world.broker
        self.place = place
        self._end = 0

    async def bounds(self) -> tuple[int, int]:
        ends: list[int] = []
        await self._client.call("query", lambda: ends.append(self.end()))
        self._end = ends[-1]
        return 0, self._end

    async def read(self, offset: int) -> ChangelogBatch:
        random = self._client.world.random
        limit = random.randint(1, 20)
        beyond = random.random() < 0.5
        batches: list[ChangelogBatch] = []

        def fetch() -> None:
            end = self.end() if beyond else self._end
            found = [*islice(self.readable(offset, end), limit)]
            records = [(entry.record[0] or b"", entry.record[1]) for _, entry in found if entry.record]
            records_end = found[-1][0] + 1 if found else offset
            next_offset = end if len(found) < limit else records_end
            batches.append(ChangelogBatch(records=records, records_end=records_end, next_offset=next_offset))

        await self._client.call("query", fetch)
        return batches[-1]

    def end(self) -> int:
        """The end that the broker reports."""
        return self.broker.stable_end(self.place)

    def readable(self, offset: int, end: int) -> Iterator[tuple[int, Entry]]:
        """The records that a fetch may return."""
        return self.broker.read_committed(self.place, offset, end)

    async def close(self) -> None:
        self._client.check()
