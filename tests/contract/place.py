"""Where one test's transactions write, and what everybody sees of them there.

Makes and watches; asserts nothing.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from testing.wait import eventually
from tests.contract.cluster import committed_offset, is_settled, make_topics, visible
from tests.native_parts import WITHOUT
from worker.adapters.kafka.transaction import KafkaTransaction, ProducerOptions
from worker.native.parts import NativeParts


@dataclass(frozen=True)
class Place:
    """The names of one test: where its transactions write, and as whom."""

    servers: str
    prefix: str
    native: NativeParts = WITHOUT

    @property
    def outputs(self) -> str:
        return self.prefix + "outputs"

    @property
    def changelog(self) -> str:
        return self.prefix + "changelog"

    @property
    def raw(self) -> str:
        return self.prefix + "raw"

    @property
    def repartition(self) -> str:
        """A topic of three partitions, once ``make_repartition_topic`` has made it."""
        return self.prefix + "repartition"

    @property
    def group(self) -> str:
        return self.prefix + "group"

    async def make_topics(self) -> None:
        """Make the three topics, of one partition each."""
        await make_topics(self.servers, self.outputs, self.changelog, self.raw)

    async def make_repartition_topic(self) -> None:
        """Make it."""
        await make_topics(self.servers, self.repartition, partitions=3)

    def transaction(
        self, name: str = "0", **options: int
    ) -> contextlib.AbstractAsyncContextManager[KafkaTransaction]:
        """That of a worker in this group."""
        return transaction_of(self.servers, self.group, name, self.native, **options)

    async def all_visible(self) -> tuple[list[bytes | None], list[bytes | None], int | None]:
        """What everybody sees: values of outputs and changelog, and the group's offset in the raw topic."""
        outputs = [value for _, value in await visible(self.servers, self.outputs)]
        changelog = [value for _, value in await visible(self.servers, self.changelog)]
        return outputs, changelog, await committed_offset(self.servers, self.raw, self.group)

    async def becomes_visible(
        self, outputs: list[bytes | None], changelog: list[bytes | None], offset: int | None
    ) -> None:
        """Wait for exactly this: a commit is acknowledged before its markers are written."""

        async def is_visible() -> bool:
            return await self.all_visible() == (outputs, changelog, offset)

        await eventually(is_visible, what=f"everybody sees {outputs}, {changelog}, {offset}", timeout_s=10)

    async def is_settled(self) -> bool:
        """Whether no transaction is open in the outputs."""
        return await is_settled(self.servers, self.outputs)


@contextlib.asynccontextmanager
async def transaction_of(
    servers: str,
    group: str,
    name: str = "0",
    native: NativeParts = WITHOUT,
    **options: int,
) -> AsyncIterator[KafkaTransaction]:
    """A transactional producer of partition 0, not fenced; discarded at the end. One ``name``, one id."""
    transaction = KafkaTransaction(
        client={"bootstrap_servers": servers},
        transactional_id=f"{group}/{name}",
        group_id=group,
        partition=0,
        options=ProducerOptions(
            compression="none",
            native=native,
            **{"transaction_timeout_ms": 20_000, **options},
        ),
    )
    try:
        yield transaction
    finally:
        transaction.discard()
        await transaction.closed()


async def write_all(transaction: KafkaTransaction, place: Place, value: bytes, next_offset: int) -> None:
    """All of a transaction but its end: one record for each topic, and the group's offset."""
    await transaction.begin()
    await transaction.send(place.outputs, [(b"key", value, None)])
    await transaction.send(place.changelog, [(b"key", value, None)])
    await transaction.acknowledged()
    await transaction.add_offsets({place.raw: next_offset}, "incarnation-1")
