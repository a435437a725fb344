"""Deletes records that were read, as retention may, and keeps what the checkers need of them.

Decides how far a partition of an input may be emptied: up to the offset that the group has committed, markers
and all. Knows nothing of workers. Invariant: ``raw`` gives every record that the raw topic ever held, in
order, because a copy is taken before the brokers delete.
"""

from collections.abc import Sequence

from aiokafka import ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from tests.chaos.topics import committed_offsets, read_all
from worker.config import Config


class Retention:
    """What was deleted, and how far."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._servers = config.kafka.bootstrap_servers
        self._copies: dict[int, list[ConsumerRecord]] = {}
        self._copied_to: dict[int, int] = {}

    async def delete(self, topic: str, chance: int) -> int:
        """Delete what the group has committed of one input, in some partition; up to which offset."""
        offsets = await committed_offsets(self._servers, self._config.kafka.group_id)
        read = {place: offset for place, offset in offsets.items() if place.topic == topic and offset > 0}
        if not read:
            return 0
        place = sorted(read)[chance % len(read)]
        number, end = place.partition, read[place]
        if topic == self._config.topics.raw:
            await self._copy(number, end)
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        await admin.start()
        try:
            await admin.delete_records({place: RecordsToDelete(before_offset=end)})
        finally:
            await admin.close()
        return end

    async def raw(self) -> dict[int, list[ConsumerRecord]]:
        """All that the raw topic holds and held, by partition."""
        left = await read_all(self._servers, self._config.topics.raw)
        return {number: self._with_copies(number, records) for number, records in left.items()}

    async def _copy(self, number: int, end: int) -> None:
        if self._copied_to.get(number, 0) >= end:
            return
        records = (await read_all(self._servers, self._config.topics.raw, number))[number]
        whole = self._with_copies(number, records)
        self._copies[number] = [record for record in whole if record.offset < end]
        self._copied_to[number] = end

    def _with_copies(self, number: int, records: Sequence[ConsumerRecord]) -> list[ConsumerRecord]:
        copied_to = self._copied_to.get(number, 0)
        return [*self._copies.get(number, ()), *(r for r in records if r.offset >= copied_to)]
