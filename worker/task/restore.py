"""Restores a local store from the changelog, reading only the tail that it lacks.

Knows changelog, store and clock; nothing of inputs or transactions. Runs after fencing, so nobody else
writes. Invariants: a store that is not certainly a prefix of this changelog is wiped and restored whole;
progress is written with its checkpoint, so a kill during a long restore keeps it; the loop ends on an offset,
not on a record, because a changelog may end in markers and aborted records. Checkpoints are made here alone,
so that restore and commit never differ.
"""

from collections.abc import Callable
from itertools import chain

from msgspec import Struct

from worker import telemetry
from worker.core.state_codec import (
    META_KEY,
    SCHEMA_VERSION,
    decode_meta,
    device_of_hot_key,
    restored_timers,
    times_of,
)
from worker.errors import Fatal, StateCorrupted
from worker.model.state import Checkpoint, Meta, StateRecord
from worker.ports import Changelog, Clock, StateStore
from worker.task.offset_checks import reject_if_fenced


class Restored(Struct, frozen=True):
    """What a restore read, up to the changelog's ``end``; ``meta`` is None when the changelog was empty."""

    meta: Meta | None
    end: int
    records: int
    device_records: int
    seconds: float

    def log_event(self, partition: int) -> telemetry.PartitionRestored:
        """The restore as a log event."""
        return telemetry.PartitionRestored(
            partition=partition,
            records=self.records,
            device_records=self.device_records,
            duration_s=round(self.seconds, 3),
            next_offsets={} if self.meta is None else self.meta.next_offsets,
        )


def checkpoint_at(changelog_offset: int, incarnation: str, clock: Clock) -> Checkpoint:
    """The checkpoint of a store that holds what the changelog holds below ``changelog_offset``, now."""
    return Checkpoint(
        schema=SCHEMA_VERSION,
        incarnation=incarnation,
        changelog_offset=changelog_offset,
        written_at_ms=clock.wall_ms(),
    )


async def restore(
    partition: int,
    changelog: Changelog,
    store: StateStore,
    clock: Clock,
    max_store_age_s: float,
    stopping: Callable[[], bool],
) -> Restored:
    """Restore the store of one partition; ends early when ``stopping`` is true.

    ``max_store_age_s``: a store not written for that long may lack tombstones and is restored whole; half of
    the changelog's delete.retention.ms. Raises Fatal for a changelog that does not fit.
    """
    started = clock.monotonic()
    first, end = await changelog.bounds()
    checkpoint = store.checkpoint()
    if checkpoint is not None:
        fault = _fault(checkpoint, first, end, clock.wall_ms(), max_store_age_s)
        if fault is not None:
            telemetry.emit(telemetry.StateWiped(partition=partition, reason=fault))
            await store.wipe()
            checkpoint = None
    offset = _first_offset(partition, checkpoint, first)
    incarnation = "" if checkpoint is None else checkpoint.incarnation

    records = device_records = 0
    meta: Meta | None = None
    while offset < end and not stopping():
        batch = await changelog.read(offset)
        offset = batch.next_offset
        if batch.records:
            timers: list[StateRecord] = []
            for key, value in batch.records:
                if key == META_KEY and value is not None:
                    meta = _decoded(partition, value)
                    if incarnation not in ("", meta.incarnation):
                        raise StateCorrupted(
                            f"of {incarnation}, while the changelog is of {meta.incarnation}"
                        )
                    incarnation = meta.incarnation
                device_id = device_of_hot_key(key)
                if device_id is not None:
                    device_records += 1
                    if value is not None:
                        timers += restored_timers(device_id, *times_of(value))
            records += len(batch.records)
            # Not next_offset: past an aborted tail the record before the checkpoint would not be a meta
            # record.
            store.write(chain(batch.records, timers), checkpoint_at(batch.records_end, incarnation, clock))
        await clock.sleep(0)
    if meta is None and not stopping():
        if checkpoint is not None:
            raise StateCorrupted("the changelog's tail holds no meta record, so the store is not of it")
        if records:
            await reject_if_fenced(changelog, end)  # a new owner's compacted changelog looks the same
            raise Fatal(
                f"partition {partition}: the changelog holds {records} records but no meta record: another "
                "program wrote it. Give this deployment its own kafka.group_id or topics.changelog"
            )
    seconds = clock.monotonic() - started
    return Restored(meta=meta, end=end, records=records, device_records=device_records, seconds=seconds)


def _first_offset(partition: int, checkpoint: Checkpoint | None, log_start: int) -> int:
    """Where to begin to read. Raises Fatal where records that the store lacks were deleted."""
    if checkpoint is not None:
        # The record before the checkpoint is the meta record of the last transaction applied, or a newer one
        # follows. So a tail without a meta record shows that the store is of another changelog.
        return max(checkpoint.changelog_offset - 1, log_start)
    if log_start > 0:
        raise Fatal(
            f"partition {partition}: the changelog begins at offset {log_start}: older records were deleted, "
            "so states are missing. A changelog must be compacted only (cleanup.policy=compact); restore the "
            "topic or start a new group (kafka.group_id)"
        )
    return log_start


def _fault(checkpoint: Checkpoint, first: int, end: int, now_ms: int, max_age_s: float) -> str | None:
    """Why the store cannot be a prefix of the changelog; None when it may be."""
    if checkpoint.schema != SCHEMA_VERSION:
        return f"written by schema {checkpoint.schema}, this version writes {SCHEMA_VERSION}"
    if checkpoint.changelog_offset > end:
        return f"its checkpoint {checkpoint.changelog_offset} is beyond the changelog's end {end}"
    if checkpoint.changelog_offset < first:
        return f"its checkpoint {checkpoint.changelog_offset} is below the changelog's first offset {first}"
    age_s = (now_ms - checkpoint.written_at_ms) / 1000
    if age_s > max_age_s:
        return f"last written {age_s / 86400:.1f} days ago: it may lack tombstones"
    return None


def _decoded(partition: int, value: bytes) -> Meta:
    try:
        meta = decode_meta(value)
    except ValueError as error:
        raise Fatal(f"partition {partition}: the changelog's meta record does not decode: {error}") from error
    if meta.schema != SCHEMA_VERSION:
        raise Fatal(
            f"partition {partition}: the changelog was written with schema {meta.schema}, this version knows "
            f"{SCHEMA_VERSION}: run the version that wrote it, or start a new group (kafka.group_id)"
        )
    return meta
