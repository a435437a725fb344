"""Decides whether a restored changelog may be trusted with these inputs.

The changelog is the truth about offsets, if it fits. Runs after fencing and restoring, before the first seek.
Invariant: a task runs only where the changelog is of this raw topic and of the devices that belong to this
partition, and where the group's committed offsets, if there are any, are those of its meta record, or earlier
ones of the same incarnation. Where the log of an input begins after the offset to go on from, records may
have been lost: the task goes on only where what was deleted cannot have been a record, or where an operator
has accepted the loss.
"""

from collections.abc import Mapping

from msgspec import structs

from worker import telemetry
from worker.core.partitioner import Partitioning
from worker.core.state_codec import SCHEMA_VERSION
from worker.errors import Fatal, PartitionsAdded, TransactionLost
from worker.model.state import Checkpoint, GroupOffset, Meta
from worker.ports import Changelog, Source, TaskPorts
from worker.task.layout import Layout, TaskTopics

_PATIENCE_S = 2.0
_ASK_AGAIN_S = 0.1


async def initial_meta(partition: int, layout: Layout, ports: TaskPorts) -> Meta:
    """The first meta record of a changelog. Raises Fatal where the group has committed offsets already."""
    await _reject_lost_changelog(partition, layout.topics.changelog, ports.source)
    partitioning = layout.partitioning
    return Meta(
        schema=SCHEMA_VERSION,
        incarnation=ports.new_incarnation(),
        raw_topic=layout.topics.raw,
        next_offsets=await ports.source.first_offsets(),
        partitions=partitioning.partitions,
        partitioner=partitioning.partitioner if partitioning.repartitions else "",
    )


async def checked_meta(partition: int, meta: Meta, layout: Layout, ports: TaskPorts) -> Meta:
    """The meta record to go on from. Raises Fatal, with the remedies, where something contradicts it.

    A new input begins at its first offset. Repartitioning that is turned on is written into the record.
    """
    topics, partitioning, source = layout.topics, layout.partitioning, ports.source
    _reject_other_layout(partition, meta, topics, partitioning)
    known = {topic: meta.next_offsets[topic] for topic in topics.inputs if topic in meta.next_offsets}
    log_bounds = await source.log_bounds()
    _reject_beyond_end(partition, known, log_bounds)
    gaps = {topic: log_bounds[topic][0] for topic in known if known[topic] < log_bounds[topic][0]}
    committed = await _offsets_of_group(partition, meta.incarnation, known, gaps, ports)
    for topic, first in gaps.items():
        _pass_gap(partition, topic, known[topic], log_bounds[topic], committed.get(topic), topics)
        known[topic] = first
    next_offsets = meta.next_offsets | known
    if topics.repartition and topics.repartition not in next_offsets:
        next_offsets = await source.first_offsets() | next_offsets
    return structs.replace(
        meta,
        next_offsets=next_offsets,
        partitions=partitioning.partitions,
        partitioner=partitioning.partitioner if partitioning.repartitions else meta.partitioner,
    )


def _reject_other_layout(partition: int, meta: Meta, topics: TaskTopics, partitioning: Partitioning) -> None:
    """Raise Fatal where the changelog is of another raw topic, or of other devices."""
    if meta.raw_topic != topics.raw:
        raise Fatal(
            f"partition {partition}: the changelog {topics.changelog} belongs to raw topic "
            f"{meta.raw_topic}, not {topics.raw}: give this deployment its own kafka.group_id"
        )
    if meta.partitions not in (0, partitioning.partitions):
        where, now = f"partition {partition}: {topics.raw}", str(partitioning.partitions)
        raise PartitionsAdded(where, meta.partitions, "this group began", now)
    if partitioning.repartitions and meta.partitioner not in ("", partitioning.partitioner):
        raise Fatal(
            f"partition {partition}: input.partitioner was {meta.partitioner} when this group began, now "
            f"{partitioning.partitioner}: devices belong to other partitions now, where their sessions are "
            "not. Set it back, or start a new group (kafka.group_id)"
        )


def _reject_beyond_end(
    partition: int, known: Mapping[str, int], log_bounds: Mapping[str, tuple[int, int]]
) -> None:
    for topic, offset in known.items():
        end = log_bounds[topic][1]
        if offset > end:
            raise Fatal(
                f"partition {partition}: {topic} ends at offset {end} and has been read up to {offset}: the "
                "topic was recreated, or its end was lost. Start a new group (kafka.group_id), which reads "
                "the raw topic again from kafka.start_from"
            )


def _pass_gap(
    partition: int,
    topic: str,
    known: int,
    log_bounds: tuple[int, int],
    group: GroupOffset | None,
    topics: TaskTopics,
) -> None:
    """Log why to go on at the log's start, after offset ``known``. Raises Fatal where it may not."""
    first, end = log_bounds
    if group is not None and _accepts(group, first):
        cause = "the group's offset was set to the log's start by hand, which accepts the loss"
    elif topic == topics.repartition and first == end == known + 1:
        # Only transactions write there, and each record that may be read has a marker after it.
        cause = "only one offset was deleted, with nothing after it: a transaction's marker"
    else:
        raise Fatal(
            f"partition {partition}: {topic} begins at offset {first} and has been read up to {known}: what "
            "stood between was deleted before it was read (retention too short, records deleted by hand, or "
            "the topic was recreated). To accept the loss and keep the state, stop all workers and set the "
            f"group's offset to the log's start: kafka-consumer-groups.sh --group {topics.group_id} --topic "
            f"{topic}:{partition} --reset-offsets --to-earliest --execute. Or start a new group "
            "(kafka.group_id), which builds the state again"
        )
    telemetry.emit(
        telemetry.InputGapSkipped(
            partition=partition, topic=topic, from_offset=known, to_offset=first, reason=cause
        )
    )


def _accepts(group: GroupOffset, log_start: int) -> bool:
    """Whether an operator has set the group's offset to the log's start.

    A worker's commit has an author, and a coordinator that repeats an old answer repeats its author.
    """
    return not group.author and group.next_offset == log_start


async def _offsets_of_group(
    partition: int,
    incarnation: str,
    known: Mapping[str, int],
    gaps: Mapping[str, int],
    ports: TaskPorts,
) -> Mapping[str, GroupOffset]:
    """The group's offsets. Raises Fatal, with the remedies, where they contradict the changelog's.

    All of them may have expired; those of a single topic disappear only with the topic. ``known``: the
    changelog's offsets. ``gaps``: topic -> the log's start, where that is after the known offset.
    """
    clock = ports.clock
    deadline = clock.monotonic() + _PATIENCE_S
    while True:
        asked_at = clock.monotonic()
        committed = await ports.source.committed_offsets()
        others = {t: group for t, group in committed.items() if t not in gaps or not _accepts(group, gaps[t])}
        wanted = {topic: known[topic] for topic in known if topic in others or topic not in committed}
        if not others or _agrees(others, wanted, incarnation):
            return committed
        # An earlier version's commits have no author, and a broker answers with the offsets before the last
        # commit until its markers are written.
        if asked_at > deadline:
            raise _contradiction(partition, known, committed)
        await clock.sleep(_ASK_AGAIN_S)


def _contradiction(partition: int, known: Mapping[str, int], committed: Mapping[str, GroupOffset]) -> Fatal:
    """Why changelog and group cannot both be right, and what to do about it."""
    without = [topic for topic in known if topic not in committed]
    if without:  # brokers delete a topic's offsets with the topic
        return Fatal(
            f"partition {partition}: the group has committed offsets {_plain(committed)} and none of "
            f"{', '.join(without)}: the topic was deleted and recreated. Do not set its offsets by hand: "
            "what lies before them would be skipped. Start a new group (kafka.group_id), which builds the "
            "state again"
        )
    return Fatal(
        f"partition {partition}: the group's committed offsets {_plain(committed)} are not the changelog's "
        f"{dict(known)}: somebody reset the one or the other. Either set the group's offsets back to the "
        "changelog's (kafka-consumer-groups.sh --reset-offsets --to-offset), which keeps the state, or start "
        "a new group (kafka.group_id), which builds it again"
    )


def _agrees(committed: Mapping[str, GroupOffset], known: Mapping[str, int], incarnation: str) -> bool:
    """Whether the group's offsets are the changelog's, or earlier ones of the same incarnation.

    A broker answers with the offset before the last commit until its markers are written (KIP-447). A broker
    that came back from an outage was seen to answer with an offset of half an hour before.
    """
    return committed.keys() == known.keys() and all(
        group.next_offset == known[topic]
        or (group.next_offset < known[topic] and group.author == incarnation)
        for topic, group in committed.items()
    )


def _plain(committed: Mapping[str, GroupOffset]) -> dict[str, int]:
    """Topic -> offset, for a message."""
    return {topic: group.next_offset for topic, group in committed.items()}


async def _reject_lost_changelog(partition: int, changelog_topic: str, source: Source) -> None:
    """Raise Fatal where the changelog is empty although the group has committed offsets."""
    committed = await source.committed_offsets()
    if committed:
        raise Fatal(
            f"partition {partition}: the group has committed offsets {_plain(committed)} but the changelog "
            f"{changelog_topic} is empty: its state is lost. Restore the changelog topic, or start a new "
            "group (kafka.group_id), which reads the raw topic again from kafka.start_from"
        )


def reject_recreated_changelog(partition: int, before: Checkpoint | None, changelog_offset: int) -> None:
    """Raise Fatal where the changelog, which only grows, is shorter after a commit than it was before."""
    if before is not None and changelog_offset <= before.changelog_offset:
        raise Fatal(
            f"partition {partition}: the changelog ends at offset {changelog_offset} and was at "
            f"{before.changelog_offset} before: it was deleted and recreated, and most of its state is lost. "
            "Start a new group (kafka.group_id), which reads the raw topic again from kafka.start_from"
        )


async def reject_if_fenced(changelog: Changelog, restored_end: int) -> None:
    """Raise TransactionLost where the changelog grew since the restore that ended at ``restored_end``.

    Only another worker that has fenced this one can have written it. That worker's commit looks like a
    contradiction to this one.
    """
    _, end = await changelog.bounds()
    if end > restored_end:
        raise TransactionLost("another worker has fenced this one and written since it restored")
