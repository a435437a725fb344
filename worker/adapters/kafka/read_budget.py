"""How much memory one consumer may fill with records that it unpacks.

Decides when a poll has brought enough, and which partitions may have a batch half unpacked. Knows nothing of
codecs and records. Invariants: half-unpacked batches hold at most ``unfinished_bytes`` together, or there is
only one; a poll that has brought nothing may always bring a piece.
"""

import sys

UNFINISHED_BYTES = 32 * 1024 * 1024


class ReadBudget:
    """One consumer's. Without arguments: no limit on values, polls and half-unpacked batches."""

    def __init__(
        self,
        *,
        most_value_bytes: int = sys.maxsize,
        unfinished_bytes: int = sys.maxsize,
        poll_records: int = 0,
    ) -> None:
        """``most_value_bytes``: of a larger value only the beginning is wanted, where it is known in time.
        ``poll_records``: so many are enough for a poll; 0 = any number.
        """
        self.most_value_bytes = most_value_bytes
        self._unfinished_bytes = unfinished_bytes
        self._poll_records = poll_records or sys.maxsize
        self._holders: dict[object, int] = {}
        self._waiting = False
        self._bytes_left = sys.maxsize
        self._records_left = self._poll_records

    # --- one poll ---

    def begin_poll(self, most_bytes: int) -> None:
        """From now on count what one poll brings."""
        self._bytes_left, self._records_left = most_bytes, self._poll_records
        self._waiting = False

    @property
    def poll_is_full(self) -> bool:
        """Whether no more should be unpacked for this poll."""
        return self._bytes_left <= 0 or self._records_left <= 0

    def brought(self, records: int, size_bytes: int) -> None:
        """Count a piece that this poll brings."""
        self._records_left -= records
        self._bytes_left -= size_bytes

    # --- batches that are unpacked in several pieces ---

    def admit(self, holder: object, held_bytes: int) -> bool:
        """Whether ``holder`` may keep a batch half unpacked, which holds so many bytes, until ``release``."""
        held = sum(self._holders.values())
        if self._holders and held + held_bytes > self._unfinished_bytes:
            self._waiting = True
            return False
        self._holders[holder] = held_bytes
        return True

    def release(self, holder: object) -> None:
        """The batch is finished, or given up."""
        self._holders.pop(holder, None)

    @property
    def unfinished_bytes(self) -> int:
        """What half-unpacked batches hold at the moment."""
        return sum(self._holders.values())

    @property
    def somebody_waits(self) -> bool:
        """Whether in this poll a batch could not be begun for want of memory that others hold."""
        return self._waiting
