"""Makes the checkpoints that say how far a store is: one place, so restore and commit never differ."""

from worker.core.state_records import SCHEMA_VERSION
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
