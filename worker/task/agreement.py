"""Decides whether a restored changelog may be trusted with this input: it is the truth about offsets, if it
fits.

Runs after fencing and restoring, before the first seek. Invariant: a task runs only where the changelog is of
this raw topic, of the devices that belong to this partition, and the group's committed offsets, if there are
any, say the same as its meta record, or what this very changelog's life has said earlier.
"""

from collections.abc import Mapping, Sequence

from msgspec import structs

from worker.core.partitioning import Partitioning
from worker.core.state_records import SCHEMA_VERSION
from worker.errors import Fatal, PartitionsAdded, TransactionLost
from worker.model.state import GroupOffset, Meta
from worker.ports import Changelog, Clock, Source
from worker.task.topics import TaskTopics

_PATIENCE_S = 2.0
_ASK_AGAIN_S = 0.1


def founded(
    incarnation: str, raw_topic: str, partitioning: Partitioning, first_offsets: dict[str, int]
) -> Meta:
    """The first meta record of a changelog."""
    return Meta(
        schema=SCHEMA_VERSION,
        incarnation=incarnation,
        raw_topic=raw_topic,
        next_offsets=first_offsets,
        partitions=partitioning.partitions,
        partitioner=partitioning.partitioner if partitioning.rekeys else "",
    )


async def agreed(
    partition: int, meta: Meta, topics: TaskTopics, partitioning: Partitioning, source: Source, clock: Clock
) -> Meta:
    """The meta record to go on from. Raises Fatal, with the remedies, where something contradicts it.

    An input that is new begins at its first offset; re-keying that is turned on is remembered.
    """
    _refuse_another_layout(partition, meta, topics, partitioning)
    await _agree_with_group(partition, meta, topics.inputs, source, clock)
    next_offsets = meta.next_offsets
    if topics.rekey and topics.rekey not in next_offsets:
        next_offsets = await source.first_offsets() | next_offsets
    return structs.replace(
        meta,
        next_offsets=next_offsets,
        partitions=partitioning.partitions,
        partitioner=partitioning.partitioner if partitioning.rekeys else meta.partitioner,
    )


def _refuse_another_layout(
    partition: int, meta: Meta, topics: TaskTopics, partitioning: Partitioning
) -> None:
    """Raise Fatal where the changelog is of another topic, or of other devices."""
    if meta.raw_topic != topics.raw:
        raise Fatal(
            f"partition {partition}: the changelog {topics.changelog} belongs to raw topic "
            f"{meta.raw_topic}, not {topics.raw}: give this deployment its own kafka.group_id"
        )
    if meta.partitions not in (0, partitioning.partitions):
        where, now = f"partition {partition}: {topics.raw}", str(partitioning.partitions)
        raise PartitionsAdded(where, meta.partitions, "this group began", now)
    if partitioning.rekeys and meta.partitioner not in ("", partitioning.partitioner):
        raise Fatal(
            f"partition {partition}: input.partitioner was {meta.partitioner} when this group began, now "
            f"{partitioning.partitioner}: devices belong to other partitions now, where their sessions are "
            "not. Set it back, or start a new group (kafka.group_id)"
        )


async def _agree_with_group(
    partition: int, meta: Meta, inputs: Sequence[str], source: Source, clock: Clock
) -> None:
    """Raise Fatal, with the remedies, where changelog and group contradict each other.

    The group's offsets may have expired, all of them; those of a single topic go only with the topic.
    """
    known = {topic: meta.next_offsets[topic] for topic in inputs if topic in meta.next_offsets}
    deadline = clock.monotonic() + _PATIENCE_S
    while True:
        asked_at = clock.monotonic()
        committed = await source.committed_offsets()
        if not committed or _agrees(committed, known, meta.incarnation):
            return
        # An earlier version's commits bear no author, and a broker answers those before the last one until
        # its markers are written.
        if asked_at > deadline:
            raise Fatal(
                f"partition {partition}: the group's committed offsets {_told(committed)} are not the "
                f"changelog's {known}: somebody reset the one or the other, or deleted a topic and made it "
                "anew. Either set the group's offsets back to the changelog's (kafka-consumer-groups "
                "--reset-offsets), which keeps the state, or start a new group (kafka.group_id), which "
                "builds it anew"
            )
        await clock.sleep(_ASK_AGAIN_S)


def _agrees(committed: Mapping[str, GroupOffset], known: Mapping[str, int], incarnation: str) -> bool:
    """Whether the group says the same of every input, or repeats what this changelog's life said earlier.

    A broker answers the offset before the last commit until its markers are written (KIP-447); one that has
    come back from an outage was seen to answer that of half an hour before, until it lost the group again.
    """
    return committed.keys() == known.keys() and all(
        group.next_offset == known[topic]
        or (group.next_offset < known[topic] and group.author == incarnation)
        for topic, group in committed.items()
    )


def _told(committed: Mapping[str, GroupOffset]) -> dict[str, int]:
    """As a human looks for it."""
    return {topic: group.next_offset for topic, group in committed.items()}


async def refuse_forgotten_life(partition: int, changelog_topic: str, source: Source) -> None:
    """The changelog is empty: raise Fatal where the group remembers having worked."""
    committed = await source.committed_offsets()
    if committed:
        raise Fatal(
            f"partition {partition}: the group has committed offsets {_told(committed)} but the changelog "
            f"{changelog_topic} is empty: its state is lost. Restore the changelog topic, or start a new "
            "group (kafka.group_id), which reads the raw topic again from kafka.start_from"
        )


async def refuse_overtaken(changelog: Changelog, restored_end: int) -> None:
    """Raise TransactionLost where the changelog grew since the restore that ended at ``restored_end``.

    Only another worker that has fenced this one can have written: its commit then looks like a contradiction.
    """
    _, end = await changelog.bounds()
    if end > restored_end:
        raise TransactionLost("another worker has fenced this one and written since it restored")
