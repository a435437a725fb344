"""Makes the checkpoints that say how far a store is: one place, so restore and commit never differ."""

from worker.core.state_codec import SCHEMA_VERSION
from worker.errors import Fatal
from worker.model.state import Checkpoint
from worker.ports import Clock


def checkpoint_at(changelog_offset: int, incarnation: str, clock: Clock) -> Checkpoint:
    """The checkpoint of a store that holds what the changelog holds below ``changelog_offset``, now."""
    return Checkpoint(
        schema=SCHEMA_VERSION,
        incarnation=incarnation,
        changelog_offset=changelog_offset,
        written_at_ms=clock.wall_ms(),
    )


def refuse_another_life(partition: int, before: Checkpoint | None, changelog_offset: int) -> None:
    """Raise Fatal where the changelog, which only grows, is shorter after a commit than it was before."""
    if before is not None and changelog_offset <= before.changelog_offset:
        raise Fatal(
            f"partition {partition}: the changelog ends at offset {changelog_offset} and was at "
            f"{before.changelog_offset} before: it was deleted and made anew, and most of its state is lost. "
            "Start a new group (kafka.group_id), which reads the raw topic again from kafka.start_from"
        )
