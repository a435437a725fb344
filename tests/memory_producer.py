"""A raw topic in memory, for tests of what stands before it.

Keeps every record that it says is stored, in order, and stalls or fails where a test says so.
"""

from collections.abc import Sequence

from worker.ports import Delivery, RawRecord


class MemoryProducer:
    """Implements ``RawProducer``. ``deliveries``: partition -> what becomes of its records, if not stored."""

    def __init__(self, partitions: int | None = 8) -> None:
        self.count = partitions
        self.records: list[RawRecord] = []
        self.stalled: set[int] = set()
        self.deliveries: dict[int, Delivery] = {}

    def partitions(self) -> int | None:
        return self.count

    def is_stalled(self, partition: int) -> bool:
        return partition in self.stalled

    async def send(self, records: Sequence[RawRecord]) -> Sequence[Delivery]:
        found = [self.deliveries.get(record.partition, "stored") for record in records]
        self.records += [
            record for record, delivery in zip(records, found, strict=True) if delivery == "stored"
        ]
        return found
