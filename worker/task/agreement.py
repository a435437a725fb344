"""Decides whether a restored changelog may be trusted with this input: it is the truth about offsets, if it
fits.

Runs after fencing and restoring, before the first seek. Invariant: a task runs only where the changelog is of
this raw topic and the group's committed offsets, if there are any, say the same as its meta record.
"""

from worker.errors import Fatal, TransactionLost
from worker.model.state import Meta
from worker.ports import Changelog, Clock, Source

_PATIENCE_S = 2.0
_ASK_AGAIN_S = 0.1


async def agree_with_group(
    partition: int, meta: Meta, raw_topic: str, changelog_topic: str, source: Source, clock: Clock
) -> None:
    """Raise Fatal, with the remedies, where changelog and group contradict each other."""
    if meta.raw_topic != raw_topic:
        raise Fatal(
            f"partition {partition}: the changelog {changelog_topic} belongs to raw topic "
            f"{meta.raw_topic}, not {raw_topic}: give this deployment its own kafka.group_id"
        )
    deadline = clock.monotonic() + _PATIENCE_S
    while True:
        asked_at = clock.monotonic()
        committed = await source.committed_offsets()
        if all(meta.next_offsets.get(topic) == offset for topic, offset in committed.items()):
            return
        # A broker answers the offsets before the last commit until its markers are written (KIP-447).
        if asked_at > deadline:
            raise Fatal(
                f"partition {partition}: the group's committed offsets {committed} are not the changelog's "
                f"{meta.next_offsets}: somebody reset the one or the other. Either set the group's offsets "
                "back to the changelog's (kafka-consumer-groups --reset-offsets), which keeps the state, "
                "or start a new group (kafka.group_id), which builds it anew"
            )
        await clock.sleep(_ASK_AGAIN_S)


async def refuse_forgotten_life(partition: int, changelog_topic: str, source: Source) -> None:
    """The changelog is empty: raise Fatal where the group remembers having worked."""
    committed = await source.committed_offsets()
    if committed:
        raise Fatal(
            f"partition {partition}: the group has committed offsets {committed} but the changelog "
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
