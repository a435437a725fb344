"""What waits for all tasks of a process is bounded, and tasks that do not ask hold up none that does."""

import asyncio

import pytest

from testing.wait import eventually
from tests.contract.cluster import write
from tests.contract.raw_topic import Raw, changed, offsets, take
from worker.adapters.kafka import consumer as kafka_consumer

RECORDS = 200
VALUE = b"x" * 20_000


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> int:
    """As if the process had no more for records that wait: one poll brings more."""
    bound_bytes = 64 * 1024
    monkeypatch.setattr(kafka_consumer, "_BUFFERED_BYTES", bound_bytes)
    return bound_bytes


def test_a_task_that_does_not_ask_holds_up_no_other_and_gets_all_its_records_later(
    raw_of_two: Raw, little_memory: int
) -> None:
    raw = raw_of_two

    async def scenario() -> None:
        for partition in (0, 1):
            await write(raw.servers, raw.topic, [VALUE] * RECORDS, partition=partition)
        async with raw.member() as group:
            assert await changed(group) == {0, 1}
            silent, asking = group.source(0), group.source(1)
            silent.seek(raw.at(0))
            first = await take(silent, 1)

            async def all_memory_is_taken() -> bool:
                return sum(filled.buffered_bytes for filled in silent.inputs) >= little_memory

            await eventually(all_memory_is_taken, what="all memory is taken", timeout_s=20)
            asking.seek(raw.at(0))
            assert offsets(await take(asking, RECORDS)) == list(range(RECORDS))
            taken = first + await take(silent, RECORDS - len(first))
            assert offsets(taken) == list(range(RECORDS))
            assert silent.next_offsets() == raw.at(RECORDS)

    asyncio.run(scenario())
